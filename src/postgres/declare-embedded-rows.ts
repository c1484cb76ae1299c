/**
 * Connects the tables of embedded types with their parents' ones. Declared, like columns: what is missing or reads
 * differently is made anew. A table that is connected gets the children of all parents that are there already, in short
 * transactions; should that be cut off, the next run does it again.
 */
import type { ClientBase, Pool } from 'pg';
import { tableOf } from '../stripe/catalog.js';
import {
  connectedSql,
  connectSql,
  type Embedding,
  embeddedRowsSql,
  embeddings,
  FUNCTION_SETTINGS,
  functionBody,
  functionName,
  functionSql,
  indexName,
  PARENT_COLUMN,
  parentsSql,
  TRIGGER_EVENTS,
  triggerName,
} from './embedded-rows.js';
import { whenFree } from './when-free.js';

type Queryable = Pick<ClientBase | Pool, 'query'>;

/** Parents whose children are filled in by one transaction. */
const PARENTS_AT_ONCE = 200;
const NUMBER_CHANGES = 'select stripe_sync.number_changes()';
const REPORT_EVERY = 50_000;

// Of a trigger's type: after the statement, and for inserts or for updates.
const TRIGGER_TYPES = { insert: 4, update: 16 } as const;

interface Connection {
  /** Whether the function is there, with this text. */
  readonly function: boolean;
  /** Whether column, index and triggers are there. */
  readonly connected: boolean;
  /** Whether the children of all parents that were there before are in their table. */
  readonly filled: boolean;
}

const CONNECTION = `
select
  exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'stripe_sync' and p.proname = $1 and p.prosrc = $2 and p.proconfig = $3::text[]
  ) as function,
  (
    select count(*) from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    join unnest($5::text[], $6::smallint[]) as wanted (name, type) on wanted.name = t.tgname and wanted.type = t.tgtype
    where n.nspname = 'stripe' and c.relname = $4 and pn.nspname = 'stripe_sync' and p.proname = $1
      and t.tgnewtable = 'written' and t.tgoldtable is null and t.tgqual is null and not t.tgisinternal
  ) = cardinality($5::text[]) and exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'stripe' and c.relname = $7 and c.relkind = 'i'
  ) as connected,
  exists (
    select from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'stripe' and c.relname = $8 and a.attname = '${PARENT_COLUMN}' and not a.attisdropped
      and pg_catalog.col_description(a.attrelid, a.attnum) is not null
  ) as filled`;

async function readConnection(client: Queryable, embedding: Embedding): Promise<Connection> {
  const { rows } = await client.query<Connection>(CONNECTION, [
    functionName(embedding),
    functionBody(embedding),
    Object.entries(FUNCTION_SETTINGS).map(([setting, value]) => `${setting}=${value}`),
    tableOf(embedding.parent),
    TRIGGER_EVENTS.map((event) => triggerName(embedding, event)),
    TRIGGER_EVENTS.map((event) => TRIGGER_TYPES[event]),
    indexName(embedding),
    tableOf(embedding.object),
  ]);
  if (rows[0] === undefined) throw new Error('a select without a table has one row');
  return rows[0];
}

/** The tables of embedded types that do not follow their parents yet, or not as this code has them follow. */
export async function unconnectedTables(client: Queryable): Promise<string[]> {
  const tables: string[] = [];
  for (const embedding of embeddings()) {
    const { function: present, connected, filled } = await readConnection(client, embedding);
    if (!present || !connected || !filled) tables.push(tableOf(embedding.object));
  }
  return tables;
}

/**
 * Makes all tables of embedded types follow their parents'. The tables have to be there, and the connection's
 * `lock_timeout` says how long to wait for one at a time.
 */
export async function declareEmbeddedRows(client: Queryable, log: (line: string) => void): Promise<void> {
  for (const embedding of embeddings()) {
    const found = await readConnection(client, embedding);
    const declare = [
      ...(found.function ? [] : [functionSql(embedding)]),
      ...(found.connected ? [] : [connectSql(embedding)]),
    ];
    const table = tableOf(embedding.parent);
    if (declare.length > 0) {
      // Several statements in one query are one transaction.
      const work = () => client.query(declare.join('\n'));
      await whenFree(work, table, 'its embedded rows cannot be connected with it', log);
    }
    if (found.connected && found.filled) continue;
    const parents = await fill(client, embedding, log);
    await client.query(connectedSql(embedding));
    if (parents > 0)
      log(`stripe.${tableOf(embedding.object)}: filled from ${parents} rows of stripe.${table}`);
  }
}

/** Writes the children of all parents, in the parents' order. Answers how many parents there were. */
async function fill(client: Queryable, embedding: Embedding, log: (line: string) => void): Promise<number> {
  const table = tableOf(embedding.parent);
  let parents = 0;
  let after = ['', ''];
  for (;;) {
    const batch = await whenFree(
      () => fillBatch(client, embedding, after),
      table,
      'what is embedded in it cannot be filled in',
      log,
    );
    if (batch.last === null) return parents;
    after = batch.last;
    const before = parents;
    parents += batch.parents;
    if (Math.floor(parents / REPORT_EVERY) > Math.floor(before / REPORT_EVERY))
      log(`stripe.${tableOf(embedding.object)}: ${parents} rows of stripe.${table} done`);
  }
}

interface Batch {
  readonly parents: number;
  /** Account and id of the batch's last parent; null where there was none. */
  readonly last: string[] | null;
}

async function fillBatch(client: Queryable, embedding: Embedding, after: readonly string[]): Promise<Batch> {
  await client.query('begin');
  try {
    for (const [setting, value] of Object.entries(FUNCTION_SETTINGS))
      await client.query(`set local ${setting} = ${value}`);
    const { lock, read } = parentsSql(embedding);
    // Locked first and read by a statement of its own: what a writer had under way is done then, children included.
    const { rows } = await client.query<{ account: string; id: string }>(lock, [...after, PARENTS_AT_ONCE]);
    const end = rows.at(-1);
    const last = end === undefined ? null : [end.account, end.id];
    if (last !== null) {
      await client.query(embeddedRowsSql(embedding, read), [...after, ...last]);
      await client.query(NUMBER_CHANGES);
    }
    await client.query('commit');
    return { parents: rows.length, last };
  } catch (error) {
    await client.query('rollback');
    throw error;
  }
}
