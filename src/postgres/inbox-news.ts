/**
 * Who puts something into an account's inbox beside its own poll (a webhook, a rescan, a retry) tells it on a channel,
 * so that the poll hands it on at once. One connection of a worker listens for all of its accounts. Nothing depends on
 * it: what is not heard waits for the next pass.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg, { type Pool } from 'pg';

/** The payload is the account's alias. */
export const INBOX_CHANNEL = 'stripe_sync_inbox';

/** News of one account. */
export interface Watch {
  /** Aborts with the next news; already aborted where some came since the last `heard`. */
  signal(): AbortSignal;
  /** Whether news came since it was last asked. */
  heard(): boolean;
  end(): void;
}

export interface InboxNews {
  watch(account: string): Watch;
  close(): Promise<void>;
}

export interface InboxNewsOptions {
  readonly connectionString: string;
  /** Asks in the place of the connection that listens, while there is none. */
  readonly pool: Pool;
  readonly log: { info(fields: Record<string, unknown>, message: string): void };
}

/** Where nothing is heard, the inbox is looked into at this rhythm. */
const LOOK_EVERY_MS = 1_000;
/** A notification takes a few milliseconds. A pooler that gives each transaction another connection swallows it. */
const TRIAL_MS = 2_000;
/** Before listening is tried again. */
const AGAIN_AFTER_MS = 30_000;

/** Free events of the accounts that somebody waits for, whatever the ledger's size: the index of what is pending serves. */
const LOOK = `
select account from unnest($1::text[]) as account
where exists (
  select from stripe_sync.events e
  where e.account = account and e.outcome is null and e.claimed_by is null
)`;

interface Watcher {
  news: boolean;
  next: AbortController;
}

export function listenForInboxNews(options: InboxNewsOptions): InboxNews {
  const { pool, log } = options;
  const watchers = new Map<string, Set<Watcher>>();
  const closing = new AbortController();
  let client: pg.Client | null = null;

  function tell(account: string): void {
    for (const watcher of watchers.get(account) ?? []) {
      watcher.news = true;
      watcher.next.abort();
    }
  }

  /** Resolves once nothing is heard any more; at once where nothing can be heard at all. */
  async function listen(): Promise<void> {
    const listener = new pg.Client({
      connectionString: options.connectionString,
      application_name: 'stripe-sync listener',
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    });
    client = listener;
    const trial = `?${process.pid}-${Math.random().toString(36).slice(2)}`;
    let isHeard = false;
    const ended = new Promise<void>((resolve) => {
      listener.on('error', () => resolve());
      listener.on('end', resolve);
    });
    listener.on('notification', ({ payload = '' }) => {
      if (payload === trial) isHeard = true;
      else tell(payload);
    });
    try {
      await listener.connect();
      await listener.query(`listen ${INBOX_CHANNEL}`);
      const until = performance.now() + TRIAL_MS;
      await pool.query('select pg_notify($1, $2)', [INBOX_CHANNEL, trial]);
      while (!isHeard && performance.now() < until) await sleep(20, undefined, { signal: closing.signal });
      if (!isHeard) return;
      // What was told while nobody listened.
      for (const account of watchers.keys()) tell(account);
      await ended;
    } finally {
      client = null;
      listener.end().catch(() => undefined);
    }
  }

  async function lookAround(): Promise<void> {
    const until = performance.now() + AGAIN_AFTER_MS;
    while (performance.now() < until) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: closing.signal });
      const accounts = [...watchers.keys()];
      if (accounts.length === 0) continue;
      const found = await pool.query<{ account: string }>(LOOK, [accounts]).catch(() => null);
      for (const { account } of found?.rows ?? []) tell(account);
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await listen().catch(() => undefined);
      if (closing.signal.aborted) return;
      log.info({}, 'PostgreSQL tells of no news (LISTEN): the inbox is looked into once a second instead');
      await lookAround().catch(() => undefined);
    }
  }

  const running = run();
  return {
    watch(account) {
      const watcher: Watcher = { news: false, next: new AbortController() };
      const others = watchers.get(account) ?? new Set();
      watchers.set(account, others.add(watcher));
      return {
        signal: () => watcher.next.signal,
        heard() {
          const { news } = watcher;
          if (news) {
            watcher.news = false;
            watcher.next = new AbortController();
          }
          return news;
        },
        end() {
          others.delete(watcher);
          if (others.size === 0 && watchers.get(account) === others) watchers.delete(account);
        },
      };
    },
    async close() {
      closing.abort();
      await client?.end().catch(() => undefined);
      await running;
    },
  };
}
