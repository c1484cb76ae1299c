import { escapeIdentifier, escapeLiteral, type Pool } from 'pg';
import type { AuditExample } from '../domain/audit-result.js';
import type { AuditKey } from './audit-row.js';

/** Differences of one type that have come to one end. */
export interface DifferenceGroup {
  readonly object: string;
  readonly kind: AuditExample['kind'];
  readonly state: AuditExample['state'];
  readonly count: number;
}

const COUNT = `
select object, kind, case state when 'open' then 'unverified' else state end as state, count(*) as count
from stripe_sync.audit_differences where account = $1 and number = $2
group by 1, 2, 3 order by 1, 2, 3`;

/** How many differences there are of each type, kind and end. What is open still was not verified. */
export async function countDifferences(
  pool: Pool,
  { account, number }: AuditKey,
): Promise<DifferenceGroup[]> {
  const { rows } = await pool.query<Omit<DifferenceGroup, 'count'> & { count: string | number }>(COUNT, [
    account,
    number,
  ]);
  return rows.map((row) => ({ ...row, count: Number(row.count) }));
}

/** The result of an audit stays small, whatever it found. */
const MOST_EXAMPLES = 20;

const EXAMPLES = `
select object, id, kind, case state when 'open' then 'unverified' else state end as state, keys, note
from (
  select *, row_number() over (
    partition by object order by array_position(array['unhealed', 'differs', 'healed'], state), kind, id
  ) as place
  from stripe_sync.audit_differences where account = $1 and number = $2
) as placed
where place <= ${MOST_EXAMPLES}
order by object, place`;

/** The first differences of each type: what remains, then what was healed, then what nobody verified. */
export async function readExamples(
  pool: Pool,
  { account, number }: AuditKey,
): Promise<(AuditExample & { readonly object: string })[]> {
  const { rows } = await pool.query<AuditExample & { object: string }>(EXAMPLES, [account, number]);
  return rows;
}

/** Those of the tables that hold rows of the account which are no tombstones. */
export async function tablesWithRows(
  pool: Pool,
  account: string,
  tables: readonly string[],
): Promise<ReadonlySet<string>> {
  if (tables.length === 0) return new Set();
  const each = tables.map(
    (table) =>
      `select ${escapeLiteral(table)} as name where exists (
        select from stripe.${escapeIdentifier(table)} where account = $1 and not deleted)`,
  );
  const { rows } = await pool.query<{ name: string }>(each.join('\nunion all\n'), [account]);
  return new Set(rows.map(({ name }) => name));
}
