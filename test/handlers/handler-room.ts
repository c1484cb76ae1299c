import { randomBytes } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import type { Handlers } from '../../src/handlers/index.js';
import { createHandlerRunner, type HandlerCall } from '../../src/handlers/run-handler.js';
import { transaction } from '../../src/postgres/pool.js';

/** An account of its own in the ledger, and handlers that run as an apply runs them. */
export function createHandlerRoom(pool: Pool) {
  const account = `room-${randomBytes(4).toString('hex')}`;
  return {
    account,

    /** Puts an event into the ledger; returns its id. */
    async receive(type: string, object: Record<string, unknown>, created = 1_800_000_000): Promise<string> {
      const id = `evt_${randomBytes(8).toString('hex')}`;
      const event = { id, object: 'event', type, created, data: { object } };
      await pool.query(
        `insert into stripe_sync.events (account, id, type, created, object, object_id, event, source, seen_at)
         values ($1, $2, $3, to_timestamp($4), $5, $6, $7, 'poll', to_timestamp($4))`,
        [account, id, type, created, object.object, object.id, JSON.stringify(event)],
      );
      return id;
    },

    /** Applies events, each with a row whose state is `data`, in one transaction. */
    apply(handlers: Handlers, eventIds: readonly string[], over: ApplyOptions = {}): Promise<void> {
      const { timeoutMs, before, signal = new AbortController().signal, data = {}, ...call } = over;
      const runner = createHandlerRunner(handlers, { pool, timeoutMs });
      const row = { id: 'row_1', data, deleted: false, asOf: new Date(1_000), asOfUntil: new Date(2_000) };
      return transaction(pool, async (client) => {
        await before?.(client);
        for (const eventId of eventIds) {
          await runner.run(client, { account, eventId, row, superseded: false, signal, attempt: 1, ...call });
        }
      });
    },

    /** What the handlers of the test noted, in order. */
    async notes(): Promise<string[]> {
      const { rows } = await pool.query<{ note: string }>(
        'select note from public.notes where account = $1 order by id',
        [account],
      );
      return rows.map(({ note }) => note);
    },
  };
}

export interface ApplyOptions
  extends Partial<Pick<HandlerCall, 'row' | 'superseded' | 'signal' | 'attempt'>> {
  readonly timeoutMs?: number;
  readonly data?: unknown;
  readonly before?: (client: PoolClient) => Promise<void>;
}

export type HandlerRoom = ReturnType<typeof createHandlerRoom>;

export const NOTES = `create table public.notes (id bigint generated always as identity, account text, note text)`;

export const NOTE = 'insert into public.notes (account, note) values ($1, $2)';
