import { escapeIdentifier, type PoolClient } from 'pg';

export interface StoredRow {
  /** Seconds of Stripe's clock. */
  readonly asOf: number;
  readonly asOfUntil: number;
  readonly deleted: boolean;
  readonly source: string;
  /** Type of the event that wrote the row, where one did. */
  readonly sourceType: string | null;
  readonly digest: string;
}

/** The entity's row, locked for the rest of the transaction, with the digest of its state. */
const readRowSql = (table: string) => `
select extract(epoch from r.as_of)::bigint as as_of, extract(epoch from r.as_of_until)::bigint as as_of_until,
  r.deleted, r.source, md5(r.data::text) as digest,
  (select e.type from stripe_sync.events e where e.account = r.account and e.id = r.source) as source_type
from stripe.${escapeIdentifier(table)} r
where r.account = $1 and r.id = $2
for update of r`;

export async function readRow(
  client: PoolClient,
  table: string,
  account: string,
  id: string,
): Promise<StoredRow | null> {
  const { rows } = await client.query<{
    as_of: string | number;
    as_of_until: string | number;
    deleted: boolean;
    source: string;
    digest: string;
    source_type: string | null;
  }>(readRowSql(table), [account, id]);
  const row = rows[0];
  if (row === undefined) return null;
  return {
    asOf: Number(row.as_of),
    asOfUntil: Number(row.as_of_until),
    deleted: row.deleted,
    source: row.source,
    sourceType: row.source_type,
    digest: row.digest,
  };
}

/** Digest of a state that is not stored, to be compared with a row's. */
export async function digestOf(client: PoolClient, state: string): Promise<string | undefined> {
  const { rows } = await client.query<{ digest: string }>('select md5(($1::jsonb)::text) as digest', [state]);
  return rows[0]?.digest;
}

/** A row as handlers see it. */
export interface RowState {
  readonly data: unknown;
  readonly deleted: boolean;
  readonly asOf: Date;
  readonly asOfUntil: Date;
}

const readStateSql = (table: string) => `
select data, deleted, as_of as "asOf", as_of_until as "asOfUntil"
from stripe.${escapeIdentifier(table)}
where account = $1 and id = $2`;

/** The entity's row with its state, parsed as JavaScript parses JSON: integers beyond 2^53 are rounded. */
export async function readState(
  client: PoolClient,
  table: string,
  account: string,
  id: string,
): Promise<RowState | null> {
  const { rows } = await client.query<RowState>(readStateSql(table), [account, id]);
  return rows[0] ?? null;
}
