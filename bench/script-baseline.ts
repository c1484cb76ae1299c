/**
 * What a script would do: one page after the other through Stripe's own library, and each object in a statement of its
 * own. And what a bare loop can do at best: many walkers, a page per statement, and nothing else.
 */
import type { Pool } from 'pg';
import Stripe from 'stripe';
import type { SimulatorProcess } from './backfill-world.js';

const UPSERT = `
  insert into bench.script as r (account, id, data, as_of, as_of_until, source)
  values ('bench', $1, $2, now(), now(), 'bench')
  on conflict (account, id) do update set data = excluded.data, as_of = excluded.as_of`;

export function stripeOf({ url, apiKey }: SimulatorProcess): Stripe {
  const { hostname, port } = new URL(url);
  return new Stripe(apiKey, { host: hostname, port: Number(port), protocol: 'http' });
}

/** Objects a second, of the first so many: it goes on like that. */
export async function scriptBackfill(pool: Pool, simulator: SimulatorProcess, most: number): Promise<number> {
  await makeTable(pool);
  try {
    let rows = 0;
    const began = performance.now();
    for await (const customer of stripeOf(simulator).customers.list({ limit: 100 })) {
      await pool.query(UPSERT, [customer.id, JSON.stringify(customer)]);
      rows += 1;
      if (rows === most) break;
    }
    return rows / ((performance.now() - began) / 1000);
  } finally {
    await pool.query('drop schema bench cascade');
  }
}

/** A copy of the table of customers, as empty and as indexed as that is when a backfill begins. */
export async function makeTable(pool: Pool): Promise<void> {
  await pool.query('drop schema if exists bench cascade');
  await pool.query('create schema bench');
  await pool.query('create table bench.script (like stripe.customers including all)');
}

const UPSERT_PAGE = `
  insert into bench.script as r (account, id, data, as_of, as_of_until, source)
  select 'bench', e->>'id', e, to_timestamp(1), to_timestamp(1), 'bench'
  from jsonb_array_elements($1::jsonb->'data') as e
  on conflict (account, id) do update set data = excluded.data, as_of = excluded.as_of
  where r.as_of < excluded.as_of`;

interface Page {
  readonly data: readonly { readonly id: string; readonly created: number }[];
  readonly has_more: boolean;
}

/**
 * Objects a second, by walkers that each take an equal share of the objects by their time; where that lies is found out
 * before. Each has the next page under way while it writes one.
 */
export async function bareLoop(pool: Pool, simulator: SimulatorProcess, walkers: number): Promise<number> {
  const created = await createdTimes(simulator);
  const bounds = Array.from(
    { length: walkers },
    (_, walker) => created[Math.floor((created.length * walker) / walkers)] ?? 0,
  );
  await makeTable(pool);
  try {
    const began = performance.now();
    const walk = async (walker: number) => {
      const from = walker === 0 ? 0 : (bounds[walker] ?? 0);
      const to = bounds[walker + 1] ?? 10_000_000_000;
      const writing: Promise<unknown>[] = [];
      for (let after = ''; ; ) {
        const { text, page } = await read(simulator, `created[gte]=${from}&created[lt]=${to}${after}`);
        writing.push(pool.query(UPSERT_PAGE, [text]));
        if (writing.length > 1) await writing.shift();
        if (!page.has_more) break;
        after = `&starting_after=${page.data.at(-1)?.id}`;
      }
      await Promise.all(writing);
    };
    await Promise.all(bounds.map((_, walker) => walk(walker)));
    const seconds = (performance.now() - began) / 1000;
    const { rows } = await pool.query<{ count: number }>('select count(*) from bench.script');
    return Number(rows[0]?.count) / seconds;
  } finally {
    await pool.query('drop schema bench cascade');
  }
}

async function createdTimes(simulator: SimulatorProcess): Promise<number[]> {
  const created: number[] = [];
  for (let after = ''; ; ) {
    const { page } = await read(simulator, after);
    created.push(...page.data.map((customer) => customer.created));
    if (!page.has_more) return created.sort((a, b) => a - b);
    after = `&starting_after=${page.data.at(-1)?.id}`;
  }
}

async function read({ url, apiKey }: SimulatorProcess, query: string) {
  const response = await fetch(`${url}/v1/customers?limit=100&${query}`, {
    headers: { authorization: `Bearer ${apiKey}` },
  });
  if (!response.ok) throw new Error(`The simulator refused: ${await response.text()}`);
  const text = await response.text();
  return { text, page: JSON.parse(text) as Page };
}
