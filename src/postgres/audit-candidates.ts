import { escapeIdentifier, type Pool } from 'pg';
import type { Version } from '../domain/version.js';
import { keysBetween } from './audit-page.js';
import type { AuditKey } from './audit-row.js';

/** What is to be looked at next: those that were looked at least often. */
export interface DueLook {
  readonly looks: number;
  /** The last of them was shown, or its row looked at, at this second of Stripe's clock. */
  readonly seenAt: number;
  readonly objects: readonly string[];
  /** Candidates that are open, all in all. */
  readonly open: number;
}

const DUE = `
with open as (
  select object, looks, greatest(read_until, looked_at) as seen_at from stripe_sync.audit_differences
  where account = $1 and number = $2 and state = 'open'
), due as (
  select * from open where looks = (select min(looks) from open)
)
select min(looks) as looks, ceil(extract(epoch from max(seen_at)))::bigint as "seenAt",
  array_agg(distinct object) as objects, (select count(*) from open) as open
from due having count(*) > 0`;

/** Null where nothing is open any more. */
export async function readDueLook(pool: Pool, { account, number }: AuditKey): Promise<DueLook | null> {
  const { rows } = await pool.query<{
    looks: number;
    seenAt: string | number;
    objects: string[];
    open: string | number;
  }>(DUE, [account, number]);
  const row = rows[0];
  return row === undefined ? null : { ...row, seenAt: Number(row.seenAt), open: Number(row.open) };
}

/** A candidate beside its row. Seconds of Stripe's clock, rounded outwards. */
export interface Candidate {
  readonly id: string;
  readonly kind: string;
  readonly reads: number;
  readonly shown: (Version & { readonly found: 'object' | 'gone' }) | null;
  readonly row: (Version & { readonly deleted: boolean }) | null;
  readonly same: boolean;
}

const candidatesSql = (table: string) => `
select d.id, d.kind, d.reads, d.found,
  floor(extract(epoch from d.read_as_of))::bigint as read_as_of,
  ceil(extract(epoch from d.read_until))::bigint as read_until,
  r.id is not null as present, r.deleted,
  floor(extract(epoch from r.as_of))::bigint as as_of, ceil(extract(epoch from r.as_of_until))::bigint as as_of_until,
  coalesce(md5(r.data::text) = d.digest, false) as same
from stripe_sync.audit_differences d
left join stripe.${escapeIdentifier(table)} r on r.account = d.account and r.id = d.id
where d.account = $1 and d.number = $2 and d.object = $3 and d.state = $4 and ($5::integer is null or d.looks = $5)
  and ($6::text is null or d.id = $6)
order by d.id limit $7`;

export interface CandidatesOf extends AuditKey {
  readonly object: string;
  readonly table: string;
}

/** The candidates of a type, each beside its row as it is now. */
export async function readCandidates(
  pool: Pool,
  { account, number, object, table }: CandidatesOf,
  which: {
    readonly state: 'open' | 'differs';
    /** Only those that were looked at so often. */
    readonly looks?: number;
    readonly id?: string;
    readonly most?: number;
  },
): Promise<Candidate[]> {
  const { rows } = await pool.query<{
    id: string;
    kind: string;
    reads: number;
    found: 'object' | 'gone' | null;
    read_as_of: string | number | null;
    read_until: string | number;
    present: boolean;
    deleted: boolean | null;
    as_of: string | number | null;
    as_of_until: string | number | null;
    same: boolean;
  }>(candidatesSql(table), [
    account,
    number,
    object,
    which.state,
    which.looks ?? null,
    which.id ?? null,
    which.most ?? null,
  ]);
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    reads: row.reads,
    shown:
      row.found === null || row.read_as_of === null
        ? null
        : { found: row.found, asOf: Number(row.read_as_of), asOfUntil: Number(row.read_until) },
    row: row.present
      ? { deleted: row.deleted ?? false, asOf: Number(row.as_of), asOfUntil: Number(row.as_of_until) }
      : null,
    same: row.same,
  }));
}

const EXPLAINED = `
delete from stripe_sync.audit_differences
where account = $1 and number = $2 and object = $3 and id = any($4)`;

/** Forgets candidates that are no differences. */
export async function forgetCandidates(
  pool: Pool,
  { account, number, object }: Omit<CandidatesOf, 'table'>,
  ids: readonly string[],
): Promise<void> {
  if (ids.length > 0) await pool.query(EXPLAINED, [account, number, object, ids]);
}

const MARK = `
update stripe_sync.audit_differences set
  state = $5, looks = looks + 1, note = coalesce($6, note), looked_at = to_timestamp($7)
where account = $1 and number = $2 and object = $3 and id = any($4)`;

/** Gives candidates a state, after one more look: `at` this second of Stripe's clock. */
export async function markCandidates(
  pool: Pool,
  { account, number, object }: Omit<CandidatesOf, 'table'>,
  ids: readonly string[],
  state: 'open' | 'differs' | 'unverified' | 'healed' | 'unhealed',
  { note = null, at = null }: { readonly note?: string | null; readonly at?: number | null } = {},
): Promise<void> {
  if (ids.length > 0) await pool.query(MARK, [account, number, object, ids, state, note, at]);
}

const READ_WITHOUT_ADDRESS = `
update stripe_sync.audit_differences set reads = reads + 1, looks = looks + 1, note = $5
where account = $1 and number = $2 and object = $3 and id = $4`;

/** For an object that cannot be read by itself: what the list showed of it is all there is. */
export async function noteUnreadable(
  pool: Pool,
  { account, number, object }: Omit<CandidatesOf, 'table'>,
  id: string,
  note: string,
): Promise<void> {
  await pool.query(READ_WITHOUT_ADDRESS, [account, number, object, id, note]);
}

/** A read of one object, as the audit keeps it: never more than a digest. */
export interface NotedRead extends CandidatesOf, Version {
  readonly id: string;
  readonly found: 'object' | 'gone';
  /** The object's own JSON text; null where it is gone. */
  readonly data: string | null;
}

const noteReadSql = (table: string) => `
with compared as (
  select r.data, r.deleted, r.id is null as absent, s.data as shown,
    case
      when $5 = 'gone' then r.id is null or r.deleted
      else coalesce(not r.deleted and r.data = s.data, false)
    end as equal
  from (select $6::jsonb as data) as s
  left join stripe.${escapeIdentifier(table)} r on r.account = $1 and r.id = $4
), noted as (
  update stripe_sync.audit_differences d set
    found = $5, digest = md5(c.shown::text), read_as_of = to_timestamp($7), read_until = to_timestamp($8),
    reads = d.reads + 1, looks = d.looks + 1,
    kind = case when $5 = 'gone' then 'extra' when c.absent then 'missing' else 'stale' end,
    keys = case when $5 = 'object' and not c.absent then ${keysBetween('c.data', 'c.shown')} else '{}' end,
    note = case when $5 = 'object' and c.deleted then 'the row is a tombstone, and Stripe has the object' end
  from compared c
  where d.account = $1 and d.number = $2 and d.object = $3 and d.id = $4 and not c.equal
)
select equal from compared`;

/** Compares a read with the row as it is now, and keeps the read where they differ. Returns whether they are equal. */
export async function noteRead(pool: Pool, read: NotedRead): Promise<boolean> {
  const { account, number, object, id, found, data, asOf, asOfUntil } = read;
  const { rows } = await pool.query<{ equal: boolean }>(noteReadSql(read.table), [
    account,
    number,
    object,
    id,
    found,
    data,
    asOf,
    asOfUntil,
  ]);
  return rows[0]?.equal ?? false;
}

const WITH_STATE = `
select distinct object from stripe_sync.audit_differences
where account = $1 and number = $2 and state = $3 and object <> 'event' order by object`;

/** The types that have candidates in this state. */
export async function objectsWith(
  pool: Pool,
  { account, number }: AuditKey,
  state: 'differs',
): Promise<string[]> {
  const { rows } = await pool.query<{ object: string }>(WITH_STATE, [account, number, state]);
  return rows.map(({ object }) => object);
}
