import { randomBytes } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import type pg from 'pg';
import { onTestFinished } from 'vitest';
import { type Activities, createActivities } from '../../activities/index.js';
import type { Handlers } from '../../src/handlers/define-handlers.js';
import { createHandlerRunner } from '../../src/handlers/run-handler.js';
import type { InboxNews } from '../../src/postgres/inbox-news.js';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { createSimulator, type Simulator, type SimulatorOptions } from '../../src/sandbox/simulator/index.js';
import { tableOf } from '../../src/stripe/catalog.js';
import { createStripeClient, type StripeClient, type StripeResponse } from '../../src/stripe/client.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import type { TestDatabase } from './database.js';

type Get = (path: string) => Promise<StripeResponse>;

export interface RoomOptions extends SimulatorOptions {
  /** Comes between the activities and the simulator, request by request. */
  readonly between?: (path: string, get: Get) => Promise<StripeResponse>;
  /** What the activities use in place of the database's own pool. */
  readonly pool?: pg.Pool;
  /** Tells of what others put into the inbox. */
  readonly inbox?: InboxNews;
  /** Run in the transaction of every apply. */
  readonly handlers?: Handlers;
  /** In place of the simulator's own key. */
  readonly key?: (simulator: Simulator) => string;
}

/** What differs from one attempt of an activity to the next. */
export interface Attempt {
  readonly activityId?: string;
  readonly attempt?: number;
  readonly heartbeatDetails?: unknown;
  /** How long the attempt may take; a minute unless told. */
  readonly startToCloseTimeoutMs?: number;
  readonly isLocal?: boolean;
}

export interface LedgerEntry {
  readonly id: string;
  readonly created: number;
  readonly outcome: string | null;
  readonly error: string | null;
  readonly claimed: boolean;
  readonly source: string;
}

export interface TableRow {
  readonly id: string;
  readonly data: Record<string, unknown>;
  readonly asOf: number;
  readonly asOfUntil: number;
  readonly deleted: boolean;
  readonly source: string;
}

/** An account with a Stripe of its own, and activities that run without a Temporal server. */
export async function createActivityRoom(database: TestDatabase, options: RoomOptions = {}) {
  const { between, pool = database.pool, inbox, key, handlers, ...rest } = options;
  const simulator = await createSimulator({ visibility: { kind: 'none' }, ...rest });
  const account = `room-${randomBytes(4).toString('hex')}`;
  const client = createStripeClient({
    apiKey: key?.(simulator) ?? simulator.apiKey,
    baseUrl: simulator.url,
  });
  const stripe: StripeClient = {
    ...client,
    get: (path, request) =>
      between === undefined
        ? client.get(path, request)
        : between(path, (asked) => client.get(asked, request)),
  };
  const stopping = new AbortController();
  const logged: string[] = [];
  const write = (fields: Record<string, unknown>, message: string) => {
    logged.push(JSON.stringify({ ...fields, message }));
  };
  const activities = createActivities({
    pool,
    stripe: () => stripe,
    log: { info: write, warn: write, error: write },
    inbox,
    handlers: handlers && createHandlerRunner(handlers, { pool }),
    stopping: stopping.signal,
  });
  onTestFinished(async () => {
    client.close();
    await simulator.close();
  });

  function begin<K extends keyof Activities>(
    name: K,
    input: Parameters<Activities[K]>[0],
    attempt: Attempt = {},
  ) {
    const heartbeats: unknown[] = [];
    const environment = new MockActivityEnvironment({
      activityId: randomBytes(4).toString('hex'),
      startToCloseTimeoutMs: 60_000,
      ...attempt,
    });
    environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
    const activity = activities[name] as (argument: typeof input) => ReturnType<Activities[K]>;
    const result = environment.run(activity as never, input as never) as ReturnType<Activities[K]>;
    return { result, heartbeats, cancel: () => environment.cancel() };
  }

  return {
    account,
    simulator,
    stopping,
    logged,
    /** Stripe's present, in whole seconds. */
    now: () => Math.floor(simulator.now()),
    begin,
    run: <K extends keyof Activities>(name: K, input: Parameters<Activities[K]>[0], attempt?: Attempt) =>
      begin(name, input, attempt).result,
    /** Puts events into the inbox as if they had been listed. */
    async receive(events: readonly unknown[]): Promise<void> {
      await insertEvents(database.pool, {
        account,
        page: JSON.stringify({ data: events }),
        source: 'poll',
        seenAt: Math.floor(simulator.now()),
        objects: storedObjects(),
        keyFields: compositeKeys(),
      });
    },
    /** Claims what waits in the inbox, as a fetch does that hands it on. */
    async claim(): Promise<void> {
      await database.pool.query(
        `update stripe_sync.events set claimed_by = 'a fetch', claimed_at = clock_timestamp()
         where account = $1 and outcome is null`,
        [account],
      );
    },
    async ledger(): Promise<LedgerEntry[]> {
      const { rows } = await database.pool.query<LedgerEntry>(
        `select id, extract(epoch from created)::int as created, outcome, error, claimed_by is not null as claimed,
           source
         from stripe_sync.events where account = $1 order by created, id`,
        [account],
      );
      return rows;
    },
    async outcomes(): Promise<Record<string, string | null>> {
      const { rows } = await database.pool.query<{ id: string; outcome: string | null }>(
        'select id, outcome from stripe_sync.events where account = $1',
        [account],
      );
      return Object.fromEntries(rows.map((row) => [row.id, row.outcome]));
    },
    async rows(object: string): Promise<TableRow[]> {
      const { rows } = await database.pool.query<TableRow>(
        `select id, data, extract(epoch from as_of)::int as "asOf", extract(epoch from as_of_until)::int as "asOfUntil",
           deleted, source
         from stripe.${tableOf(object)} where account = $1 order by id`,
        [account],
      );
      return rows;
    },
    /** Puts a row into the object's table as if a read of that interval had written it. */
    async hold(
      object: string,
      data: { readonly id: string },
      asOf: number,
      asOfUntil: number,
      deleted = false,
    ) {
      await database.pool.query(
        `insert into stripe.${tableOf(object)} (account, id, data, as_of, as_of_until, deleted, source)
         values ($1, $2, $3, to_timestamp($4), to_timestamp($5), $6, 'read:earlier')`,
        [account, data.id, JSON.stringify(data), asOf, asOfUntil, deleted],
      );
    },
  };
}

export type ActivityRoom = Awaited<ReturnType<typeof createActivityRoom>>;

/** An event as Stripe sends it, of a version that the tests pin where they pin one. */
export function eventOf(
  id: string,
  type: string,
  created: number,
  object: Record<string, unknown>,
  apiVersion = '2026-10-28.endive',
) {
  return { id, object: 'event', type, created, api_version: apiVersion, data: { object } };
}

/** A request that is never answered, as a worker that dies leaves it, until the test is over. */
export function hangingRequest() {
  const ends: ((error: Error) => void)[] = [];
  return {
    request: () => new Promise<never>((_, reject) => void ends.push(reject)),
    end: () => {
      for (const end of ends) end(new Error('the worker died'));
    },
  };
}

/** The pool, with something that happens once, just before the first statement of that pattern is sent. */
export function interrupted(pool: pg.Pool, pattern: RegExp, happens: () => Promise<void>): pg.Pool {
  let left = 1;
  const connect = async () => {
    const client = await pool.connect();
    const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
    return new Proxy(client, {
      get(target, property) {
        if (property !== 'query') {
          const value = Reflect.get(target, property) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async (...args: unknown[]) => {
          if (left > 0 && typeof args[0] === 'string' && pattern.test(args[0])) {
            left -= 1;
            await happens();
          }
          return query(...args);
        };
      },
    });
  };
  return new Proxy(pool, {
    get(target, property) {
      if (property === 'connect') return connect;
      const value = Reflect.get(target, property) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
