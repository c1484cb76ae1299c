/**
 * The tables of Stripe's objects, `stripe.<name>`, as the catalog describes them. Declared, not migrated: what
 * is missing is created or added, nothing is ever dropped or changed, and tables and columns that somebody
 * else added are left alone.
 */
import { type ClientBase, escapeIdentifier, escapeLiteral } from 'pg';
import { columnsOf, type ScalarColumn, syncedObjects, tableOf } from '../stripe/catalog.js';
import { generatedColumn } from './generated-column.js';

export interface ObjectTable {
  /** Name without the schema: `checkout_sessions`. */
  readonly name: string;
  readonly object: string;
  readonly columns: readonly ScalarColumn[];
}

/** What the database lacks of one table: all of it, or some columns. */
export interface MissingPart {
  readonly table: ObjectTable;
  readonly create: boolean;
  readonly columns: readonly ScalarColumn[];
}

const FIXED_COLUMNS = [
  ['account', 'text not null', 'Alias of the account that the object belongs to'],
  ['id', 'text not null', "Stripe's id of the object"],
  [
    'data',
    'jsonb not null',
    'The object as Stripe sent it; after a deletion its last state. The typed columns are read out of it',
  ],
  ['as_of', 'timestamptz not null', "From when on this state was certainly current, on Stripe's clock"],
  ['as_of_until', 'timestamptz not null', "Until when this state was certainly current, on Stripe's clock"],
  ['deleted', 'boolean not null default false', 'Whether Stripe deleted the object: a tombstone'],
  ['source', 'text not null', 'The event (evt_…) or the read that wrote this state'],
] as const;

// A row of up to 4 kB stays on its page as it is: compressing every object over 2 kB, which is the default,
// costs more at each write than the space is worth, and again at each look into it (measured: writes 1.2 to
// 1.7 times as fast, typed columns of a 3 kB object read 4 times as fast). And a page keeps room for the next
// version of its rows, so that an update need not touch the index.
const STORAGE = 'fillfactor = 85, toast_tuple_target = 4080';

/** Every object table of the catalog. */
export function objectTables(): ObjectTable[] {
  return syncedObjects().map(({ object }) => ({
    name: tableOf(object),
    object,
    columns: columnsOf(object),
  }));
}

const EXISTING_COLUMNS = `
select c.relname as "table", a.attname as "column"
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_attribute a on a.attrelid = c.oid
where n.nspname = 'stripe' and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped`;

/** Compares the catalog with the database. Empty where nothing is missing. */
export async function missingParts(client: Pick<ClientBase, 'query'>): Promise<MissingPart[]> {
  const { rows } = await client.query<{ table: string; column: string }>(EXISTING_COLUMNS);
  const existing = new Map<string, Set<string>>();
  for (const { table, column } of rows) {
    const columns = existing.get(table);
    if (columns) columns.add(column);
    else existing.set(table, new Set([column]));
  }
  return objectTables().flatMap((table) => {
    const present = existing.get(table.name);
    const columns = table.columns.filter(({ name }) => !present?.has(name));
    return present && columns.length === 0 ? [] : [{ table, create: present === undefined, columns }];
  });
}

/** The statements that create a table and describe it for those who open psql. */
export function createTableSql({ name, object, columns }: ObjectTable, serverVersionNum: number): string {
  const qualified = `stripe.${escapeIdentifier(name)}`;
  const fixed = FIXED_COLUMNS.map(([column, definition]) => `${column} ${definition}`);
  const typed = columns.map((column) => columnSql(column, serverVersionNum));
  const about = `Stripe's ${object} objects, one row each. Typed columns are generated from data.`;
  return [
    `create table ${qualified} (`,
    `  ${[...fixed, ...typed, 'primary key (account, id)'].join(',\n  ')}`,
    `) with (${STORAGE});`,
    `comment on table ${qualified} is ${escapeLiteral(about)};`,
    ...FIXED_COLUMNS.map(([column, , text]) => commentSql(qualified, column, text)),
    ...renamedCommentsSql(qualified, columns),
  ].join('\n');
}

/** The statement that adds columns: one for all of them, since stored ones rewrite the table. */
export function addColumnsSql(
  { name }: ObjectTable,
  columns: readonly ScalarColumn[],
  serverVersionNum: number,
): string {
  const qualified = `stripe.${escapeIdentifier(name)}`;
  const added = columns.map((column) => `  add column ${columnSql(column, serverVersionNum)}`);
  return [
    `alter table ${qualified}`,
    `${added.join(',\n')};`,
    ...renamedCommentsSql(qualified, columns),
  ].join('\n');
}

function columnSql({ name, field, type }: ScalarColumn, serverVersionNum: number): string {
  return `${escapeIdentifier(name)} ${generatedColumn(field, type, serverVersionNum)}`;
}

function renamedCommentsSql(qualified: string, columns: readonly ScalarColumn[]): string[] {
  return columns
    .filter(({ name, field }) => name !== field)
    .map(({ name, field }) =>
      commentSql(qualified, name, `Stripe's field ${field}, renamed: the sync has a column of that name`),
    );
}

function commentSql(qualified: string, column: string, text: string): string {
  return `comment on column ${qualified}.${escapeIdentifier(column)} is ${escapeLiteral(text)};`;
}
