/** Which indexes serve each statement, from the plans that PostgreSQL really ran. */
import type { Pool } from 'pg';
import { createPool } from '../src/postgres/pool.js';

export interface ExplainingPool {
  readonly pool: Pool;
  /** The plans of the statements that `work` ran, each with its text. */
  plansOf(work: () => Promise<unknown>): Promise<readonly string[]>;
}

/** A pool whose server tells the plan of each statement, those inside of triggers and functions too. */
export function explainingPool(connectionString: string): ExplainingPool {
  const url = new URL(connectionString);
  const settings = [
    ...['session_preload_libraries=auto_explain', 'auto_explain.log_min_duration=0'],
    ...['auto_explain.log_nested_statements=on', 'client_min_messages=log'],
  ];
  url.searchParams.set('options', settings.map((setting) => `-c ${setting}`).join(' '));
  const pool = createPool({
    ...{ connectionString: url.href, applicationName: 'bench plans', statementTimeoutMs: 0 },
  });
  let plans: string[] = [];
  pool.on('connect', (client) => {
    client.on('notice', ({ message }) => {
      if (message?.includes('plan:')) plans.push(message);
    });
  });
  return {
    pool,
    async plansOf(work) {
      plans = [];
      await work();
      return plans;
    },
  };
}

/** How plans reach tables of the product: by which index, or by all of their rows. */
export function accessesOf(plans: readonly string[]): string[] {
  const text = plans.join('\n');
  const indexes = [...text.matchAll(/Index (?:Only )?Scan (?:Backward )?(?:using|on) ([\w.]+)/g)];
  const arbiters = [...text.matchAll(/Conflict Arbiter Indexes: ([\w, ]+)/g)];
  const whole = [...text.matchAll(/Seq Scan on (\w+)/g)];
  const found = [
    ...indexes.map(([, name]) => `${name}`),
    ...arbiters.map(([, name]) => `${name?.trim()} (conflict)`),
    ...whole.map(([, name]) => `ALL ROWS of ${name}`),
  ];
  return [...new Set(found)].sort();
}
