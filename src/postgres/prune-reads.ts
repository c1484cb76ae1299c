import type { Pool } from 'pg';

const PRUNE_READS = `
delete from stripe_sync.reads where account = $1 and hour < now() - make_interval(secs => $2)`;

/** Deletes counts of requests that no sum over the last 30 days has use for. */
export async function pruneReads(
  pool: Pool,
  input: { readonly account: string; readonly keepSeconds: number },
): Promise<number> {
  const { rowCount } = await pool.query(PRUNE_READS, [input.account, input.keepSeconds]);
  return rowCount ?? 0;
}
