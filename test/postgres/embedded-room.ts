import { escapeIdentifier, type Pool } from 'pg';
import { changingTransaction } from '../../src/postgres/number-changes.js';
import { readRow } from '../../src/postgres/read-row.js';
import { upsertPage } from '../../src/postgres/upsert-page.js';
import { writeTombstone } from '../../src/postgres/write-row.js';
import { tableOf } from '../../src/stripe/catalog.js';

export type Item = { readonly id: string; readonly [key: string]: unknown };
export const line = (id: string, amount = 1): Item => ({ object: 'line_item', id, amount });
export const list = (items: readonly unknown[], hasMore: unknown = false) => ({
  object: 'list',
  data: items,
  has_more: hasMore,
  url: '/v1/lines',
});
export const invoice = (id: string, ...items: readonly Item[]) => ({
  object: 'invoice',
  id,
  lines: list(items),
});

export interface Row {
  readonly id: string;
  readonly data: Item;
  readonly parent: string;
  readonly deleted: boolean;
  readonly asOf: number;
  readonly asOfUntil: number;
  readonly source: string;
}

export const short = (rows: readonly Row[]) =>
  rows.map(({ id, parent, deleted, asOf }) => `${id} in ${parent} ${deleted ? 'deleted' : 'alive'} ${asOf}`);

/** The account of one test at a time, and what its tables hold. `next` goes on to an account of its own for each. */
export function createEmbeddedRoom(pool: () => Pool) {
  let account = 'a0';
  let accounts = 0;

  /** Writes objects as a page of a listing that was read at that second. */
  function page(asOf: number, objects: readonly unknown[], object = 'invoice') {
    return upsertPage(pool(), {
      account,
      object,
      table: tableOf(object),
      page: JSON.stringify({ data: objects }),
      asOf,
      asOfUntil: asOf + 2,
      source: `backfill:${asOf}`,
      keyFields: ['id'],
      recreatable: true,
    });
  }

  /** The parent is gone, as a read found out at that second. */
  function gone(asOf: number, id: string) {
    return changingTransaction(pool(), async (client) => {
      const replaces = await readRow(client, 'invoices', account, id);
      const entity = { account, object: 'invoice', id, deleted: true, source: 'read:req_1', eventId: null };
      return writeTombstone(client, 'invoices', { ...entity, asOf, asOfUntil: asOf + 2, replaces });
    });
  }

  async function rowsOf(object = 'line_item', of = account): Promise<Row[]> {
    const { rows } = await pool().query<Row>(
      `select id, data, parent_id as parent, deleted, source,
         extract(epoch from as_of)::int as "asOf", extract(epoch from as_of_until)::int as "asOfUntil"
       from stripe.${escapeIdentifier(tableOf(object))} where account = $1 order by id collate "C"`,
      [of],
    );
    return rows;
  }

  const lines = async () => short(await rowsOf());

  async function feed() {
    const { rows } = await pool().query<Record<string, unknown>>(
      `select object, id, event_id as event, kind, changed, extract(epoch from as_of)::int as "asOf"
       from stripe_sync.settled_changes where account = $1 order by sequence`,
      [account],
    );
    return rows;
  }

  return {
    get account() {
      return account;
    },
    enter(name: string) {
      account = name;
    },
    next() {
      accounts += 1;
      account = `a${accounts}`;
    },
    page,
    gone,
    rowsOf,
    lines,
    feed,
  };
}
