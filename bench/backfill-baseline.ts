/** What this machine can do at all: the same pages' JSON text upserted into a copy of the table, and nothing else. */
import { escapeIdentifier, type Pool } from 'pg';
import type { SimulatorProcess } from './backfill-world.js';
import { readPages } from './read-pages.js';

const CONNECTIONS = 4;

export interface Baseline {
  readonly rows: number;
  readonly seconds: number;
  readonly perSecond: number;
}

/** Reads all pages of a list once, then upserts them over four connections. */
export async function rawUpserts(
  pool: Pool,
  simulator: SimulatorProcess,
  list: { readonly table: string; readonly path: string },
): Promise<Baseline> {
  const pages = await readPages(simulator, list.path);
  const table = `bench.${escapeIdentifier(list.table)}`;
  const original = `stripe.${escapeIdentifier(list.table)}`;
  await pool.query(`create schema bench`);
  try {
    await pool.query(
      `create table ${table} (like ${original} including all) ${await storageOf(pool, original)}`,
    );
    const upsert = `
      insert into ${table} as r (account, id, data, as_of, as_of_until, source)
      select 'bench', e->>'id', e, to_timestamp(1), to_timestamp(1), 'bench'
      from jsonb_array_elements($1::jsonb->'data') as e
      on conflict (account, id) do update set data = excluded.data, as_of = excluded.as_of
      where r.as_of < excluded.as_of`;
    const left = [...pages];
    const began = performance.now();
    const walk = async () => {
      for (let page = left.pop(); page !== undefined; page = left.pop()) await pool.query(upsert, [page]);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, walk));
    const seconds = (performance.now() - began) / 1000;
    const { rows } = await pool.query<{ count: number }>(`select count(*) from ${table}`);
    const count = Number(rows[0]?.count);
    return { rows: count, seconds, perSecond: count / seconds };
  } finally {
    await pool.query('drop schema bench cascade');
  }
}

/** `like` copies columns, and not how a table is stored. */
async function storageOf(pool: Pool, table: string): Promise<string> {
  const { rows } = await pool.query<{ options: string[] | null }>(
    'select reloptions as options from pg_class where oid = $1::regclass',
    [table],
  );
  const options = rows[0]?.options ?? [];
  return options.length === 0 ? '' : `with (${options.join(', ')})`;
}
