/**
 * Puts delivered events into the inbox, several of an account with one statement: what arrives while an insert is under
 * way goes in together with the next. Nothing waits for company, so a single delivery takes as long as its insert.
 */
import type { Pool } from 'pg';
import { INBOX_CHANNEL } from '../postgres/inbox-news.js';
import { type InsertDeps, insertEventPage } from '../postgres/insert-event-page.js';
import { isStarted, STARTED } from '../postgres/is-started.js';
import type { Outcome } from './outcomes.js';
import type { DeliveredEvent } from './read-delivery.js';

export interface WebhookInbox {
  /**
   * Resolves once the event is committed, or is known not to be. Rejects where nobody knows, and where PostgreSQL takes
   * longer than the deadline.
   *
   * @param seenAt seconds of the sender's clock
   */
  store(account: string, seenAt: number, event: DeliveredEvent): Promise<Stored>;
  /** Tells the account that something changed. */
  hint(account: string): Promise<Extract<Outcome, 'hint' | 'not started'>>;
}

export type Stored = Extract<Outcome, 'accepted' | 'duplicate' | 'malformed' | 'not started'>;

export interface WebhookInboxOptions extends InsertDeps {
  /** Events of one insert at most; 100 unless told. */
  readonly groupSize?: number | undefined;
}

const GROUP_SIZE = 100;
/** Characters of one insert, more or less. */
const GROUP_LENGTH = 2 * 1024 * 1024;
/**
 * Inserts at a time, each of another account: one that is slow leaves room for the others, and more at once of one account
 * would only make smaller groups.
 */
const INSERTS = 3;
/** From the delivery to its answer, in milliseconds: Stripe does not wait for long either. */
const DEADLINE_MS = 8_000;

interface Waiting {
  readonly event: DeliveredEvent;
  /** Answered already, for its deadline is over: what was not inserted by then is left to the next delivery. */
  isOver: boolean;
  readonly resolve: (stored: Stored) => void;
  readonly reject: (error: unknown) => void;
}

interface Group {
  readonly account: string;
  readonly seenAt: number;
  readonly waiting: Waiting[];
  length: number;
}

export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

const KNOWN_EVENTS = 'select id from stripe_sync.events where account = $1 and id = any($2::text[])';

const HINT = `select pg_notify('${INBOX_CHANNEL}', account) from stripe_sync.accounts
where account = $1 and ${STARTED}`;

export function createWebhookInbox(options: WebhookInboxOptions): WebhookInbox {
  const { pool, log, groupSize = GROUP_SIZE } = options;
  const queue: Group[] = [];
  const running = new Set<string>();

  /** The youngest group of the account and second that has room; the time of an insert is that of all its events. */
  function groupFor(account: string, seenAt: number, length: number): Group {
    const group = queue.findLast((other) => other.account === account && other.seenAt === seenAt);
    if (group !== undefined && group.waiting.length < groupSize && group.length + length <= GROUP_LENGTH) {
      return group;
    }
    const fresh: Group = { account, seenAt, waiting: [], length: 0 };
    queue.push(fresh);
    return fresh;
  }

  function begin(): void {
    while (running.size < INSERTS) {
      const next = queue.findIndex(({ account }) => !running.has(account));
      const [group] = next < 0 ? [] : queue.splice(next, 1);
      if (group === undefined) return;
      running.add(group.account);
      void settle(group).finally(() => {
        running.delete(group.account);
        begin();
      });
    }
  }

  async function settle(group: Group): Promise<void> {
    const waiting = group.waiting.filter(({ isOver }) => !isOver);
    if (waiting.length === 0) return;
    try {
      const stored = await storeGroup({ pool, log }, { ...group, waiting });
      for (const [index, { resolve }] of waiting.entries()) resolve(stored[index] ?? 'malformed');
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  return {
    store(account, seenAt, event) {
      return new Promise<Stored>((resolve, reject) => {
        const late = setTimeout(() => {
          waiting.isOver = true;
          reject(new DeadlineError(`PostgreSQL took longer than ${DEADLINE_MS / 1000} s`));
        }, DEADLINE_MS);
        const waiting: Waiting = {
          event,
          isOver: false,
          resolve(stored) {
            clearTimeout(late);
            resolve(stored);
          },
          reject(error) {
            clearTimeout(late);
            reject(error);
          },
        };
        const group = groupFor(account, seenAt, event.text.length);
        group.waiting.push(waiting);
        group.length += event.text.length;
        begin();
      });
    },
    async hint(account) {
      const { rowCount } = await pool.query(HINT, [account]);
      return rowCount === 1 ? 'hint' : 'not started';
    },
  };
}

async function storeGroup(deps: InsertDeps, { account, seenAt, waiting }: Group): Promise<Stored[]> {
  const events = waiting.map(({ event }) => event);
  if (!(await isStarted(deps.pool, account))) return events.map(() => 'not started');
  const { inserted } = await insertEventPage(deps, {
    account,
    seenAt,
    source: 'webhook',
    lookedAt: () => null,
    text: `{"data":[${events.map(({ text }) => text).join(',')}]}`,
    entries: events.map(({ entry }) => entry),
    requestId: null,
  });
  const fresh = new Set(inserted.map(({ id }) => id));
  const others = events.filter(({ id }) => !fresh.has(id)).map(({ id }) => id);
  const known = new Set(fresh);
  for (const id of await knownOf(deps.pool, account, others)) known.add(id);
  return events.map(({ id }) => {
    if (fresh.delete(id)) return 'accepted';
    return known.has(id) ? 'duplicate' : 'malformed';
  });
}

/** What the insert left alone should be there already. Only what is seen there may be said to be stored. */
async function knownOf(pool: Pool, account: string, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const { rows } = await pool.query<{ id: string }>(KNOWN_EVENTS, [account, ids]);
  return rows.map(({ id }) => id);
}
