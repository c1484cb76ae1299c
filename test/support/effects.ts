/** Counts effects inside PostgreSQL, where no attempt can hide one: outcomes that were given, and rows that were written. */
import type { TestDatabase } from './database.js';

export interface Effects {
  /** How often each event of the account was given an outcome. */
  settled(account: string): Promise<Map<string, number>>;
  /** Writes that put a row of the account back to an earlier state of Stripe's. */
  stepsBack(account: string): Promise<string[]>;
  /** How often rows of the account were written, with another state or not. */
  writes(account: string): Promise<number>;
}

/** Watches the ledger, and the tables of these names, from now on. */
export async function watchEffects({ pool }: TestDatabase, tables: readonly string[]): Promise<Effects> {
  await pool.query(`
    create schema if not exists watch;
    create table watch.settled (account text, id text);
    create table watch.writes (account text, row text, back boolean);
    create function watch.settles() returns trigger language plpgsql as $$
      begin insert into watch.settled values (new.account, new.id); return null; end $$;
    create function watch.wrote() returns trigger language plpgsql as $$
      begin
        insert into watch.writes values (
          new.account, tg_table_name || '/' || new.id, tg_op = 'UPDATE' and new.as_of < old.as_of
        );
        return null;
      end $$;
    create trigger settles after update of outcome on stripe_sync.events
      for each row when (old.outcome is distinct from new.outcome) execute function watch.settles();`);
  for (const table of tables) {
    await pool.query(
      `create trigger wrote after insert or update on stripe.${table} for each row execute function watch.wrote()`,
    );
  }
  return {
    async settled(account) {
      const { rows } = await pool.query<{ id: string; times: number }>(
        'select id, count(*)::int as times from watch.settled where account = $1 group by id',
        [account],
      );
      return new Map(rows.map(({ id, times }) => [id, times]));
    },
    async stepsBack(account) {
      const { rows } = await pool.query<{ row: string }>(
        'select row from watch.writes where account = $1 and back',
        [account],
      );
      return rows.map(({ row }) => row);
    },
    async writes(account) {
      const { rows } = await pool.query<{ writes: number }>(
        'select count(*)::int as writes from watch.writes where account = $1',
        [account],
      );
      return rows[0]?.writes ?? 0;
    },
  };
}
