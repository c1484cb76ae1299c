/**
 * What this machine can do at all with a backlog: the same pages' JSON text, each in one statement that puts the events
 * into a copy of the ledger and the newest state of each object into one table, over four connections; and nothing else.
 */
import type { Pool } from 'pg';
import type { Baseline } from './backfill-baseline.js';
import type { SimulatorProcess } from './backfill-world.js';
import { readPages } from './read-pages.js';

const CONNECTIONS = 4;

const APPLY_PAGE = `
with listed as materialized (
  select e, e->>'id' as id, to_timestamp((e->>'created')::bigint) as created, e->'data'->'object' as state
  from jsonb_array_elements($1::jsonb->'data') as e
), inserted as (
  insert into bench.events (account, id, type, created, object, object_id, api_version, event, source, seen_at, outcome, applied_at)
  select 'bench', id, e->>'type', created, state->>'object', state->>'id', e->>'api_version', e, 'poll', now(), 'applied', now()
  from listed
  order by id
  on conflict (account, id) do nothing
  returning id
), newest as (
  select distinct on (state->>'object', state->>'id') * from listed
  where id in (select id from inserted) and state->>'id' is not null
  order by state->>'object', state->>'id', created desc
)
insert into bench.objects as r (account, object, id, data, as_of, as_of_until, source)
select 'bench', state->>'object', state->>'id', state, created, created, id from newest
on conflict (account, object, id) do update set
  data = excluded.data, as_of = excluded.as_of, as_of_until = excluded.as_of_until, source = excluded.source
where r.as_of_until < excluded.as_of`;

/** Reads all pages of events once, then applies them, the oldest first. Rows are events. */
export async function rawCatchUp(pool: Pool, simulator: SimulatorProcess): Promise<Baseline> {
  const pages = await readPages(simulator, '/v1/events');
  await pool.query('create schema bench');
  try {
    await pool.query('create table bench.events (like stripe_sync.events including all)');
    await pool.query(`create table bench.objects (
      account text, object text, id text, data jsonb not null, as_of timestamptz, as_of_until timestamptz,
      deleted boolean not null default false, source text, primary key (account, object, id))`);
    const left = [...pages];
    const began = performance.now();
    const walk = async () => {
      for (let page = left.pop(); page !== undefined; page = left.pop()) {
        for (;;) {
          // Two pages with one object may lock each other out; the one that gave way goes again.
          const done = await pool.query(APPLY_PAGE, [page]).catch((error: { code?: string }) => error);
          if (!('code' in done) || done.code === undefined) break;
          if (done.code !== '40P01') throw done;
        }
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, walk));
    const seconds = (performance.now() - began) / 1000;
    const { rows } = await pool.query<{ count: number }>('select count(*) from bench.events');
    const count = Number(rows[0]?.count);
    return { rows: count, seconds, perSecond: count / seconds };
  } finally {
    await pool.query('drop schema bench cascade');
  }
}
