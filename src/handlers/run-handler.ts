import { DatabaseError, type Pool, type PoolClient } from 'pg';
import { isTransientPostgresError } from '../postgres/errors.js';
import { cutConnection } from './cut-connection.js';
import type { Handler, HandlerContext, HandlerRow, Handlers } from './define-handlers.js';
import { type FencedTransaction, fencedTransaction, StatementRefused } from './fenced-transaction.js';
import { describeThrown, HandlerFailure } from './handler-failure.js';
import { createHandlerSlots, type HandlerSlots } from './handler-slots.js';
import { type LedgerEvent, readEvent } from './read-event.js';

export interface HandlerCall {
  readonly account: string;
  readonly eventId: string;
  /** The row after the change, parsed. */
  readonly row: HandlerRow;
  /** The row holds a newer state than the event. */
  readonly superseded: boolean;
  /** How often the activity has tried, from 1: what PostgreSQL takes back again and again is no accident. */
  readonly attempt: number;
  /** Aborts when the attempt is given up: the activity was cancelled, or has run out of time. */
  readonly signal: AbortSignal;
}

export interface HandlerRunner {
  /** Whether an event of this type has a handler. */
  wants(type: string): boolean;
  /** Runs a transaction that runs handlers, once there is room for it (handler-slots.ts). */
  withRoom: HandlerSlots;
  /**
   * Runs the handler of an event, if it has one, in the transaction that is open on `client`. The event must be in
   * the ledger.
   *
   * Whatever it throws, the caller sends ROLLBACK on `client`, and closes the connection where that fails
   * (`client.release(true)`): `transaction` in src/postgres/pool.ts does so. Once it has settled, nothing of the
   * handler's reaches PostgreSQL any more. Where a statement of the handler's did not end in time, its connection
   * was cut already, and the ROLLBACK fails at once instead of waiting behind it.
   *
   * @throws HandlerFailure where the handler threw, ran out of time, or lost its transaction
   * @throws an error of PostgreSQL's where that, or the way to it, failed the handler: a lost connection, and a
   *   deadlock that is not the handler's habit
   * @throws the signal's reason, once it has aborted
   */
  run(client: PoolClient, call: HandlerCall): Promise<void>;
}

export interface RunnerOptions {
  /** Ends the session of a statement that outlives its handler, so that its locks are free at once. */
  readonly pool: Pool;
  /** Milliseconds that one handler may take; 10 s unless told. Below the timeouts of the activities around it. */
  readonly timeoutMs?: number | undefined;
}

const TIMEOUT_MS = 10_000;
/** How long a statement that is under way may take to end after its handler, in milliseconds. */
const GRACE_MS = 500;

export function createHandlerRunner(handlers: Handlers, options: RunnerOptions): HandlerRunner {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const byType = new Map(Object.entries(handlers as Readonly<Record<string, Handler>>));
  const handlerOf = (type: string) => (type === '' ? undefined : (byType.get(type) ?? byType.get('*')));

  async function run(client: PoolClient, call: HandlerCall): Promise<void> {
    call.signal.throwIfAborted();
    const found = await readEvent(client, call.account, call.eventId);
    const handler = handlerOf(found.type);
    if (handler === undefined) return;

    const fence = fencedTransaction(client);
    const stop = new AbortController();
    const ending = await endingOf(call.signal, timeoutMs, () =>
      handler({
        account: call.account,
        event: found.event,
        // Its own copy: what it does to the row must not reach the next handler of the batch.
        row: { ...call.row, data: structuredClone(call.row.data) } as HandlerContext['row'],
        superseded: call.superseded,
        tx: fence.tx,
        signal: stop.signal,
      }),
    );
    const unfinished = fence.unfinished();
    fence.close(`The handler for ${found.type} is over, so its transaction takes no more statements.`);
    if (ending.how === 'late' || ending.how === 'given up') stop.abort();
    if (unfinished > 0 && !(await fence.idle(GRACE_MS)))
      await cutConnection(client, options.pool, found.session);

    if (ending.how === 'given up') throw call.signal.reason;
    const failure = failureOf(ending, fence, { unfinished, timeoutMs, attempt: call.attempt });
    if (failure === null) await checkDeferred(client, found, call.attempt);
    else if (failure.outage !== undefined) throw failure.outage;
    else throw new HandlerFailure({ id: call.eventId, type: found.type }, failure);
  }

  return {
    wants: (type) => handlerOf(type) !== undefined,
    withRoom: createHandlerSlots(options.pool),
    run,
  };
}

type Ending =
  | { readonly how: 'returned' }
  | { readonly how: 'threw'; readonly error: unknown }
  | { readonly how: 'late' }
  | { readonly how: 'given up' };

/** How the handler ends: by itself, or with its time. It may go on afterwards, and nobody listens any more. */
async function endingOf(signal: AbortSignal, timeoutMs: number, handle: () => unknown): Promise<Ending> {
  let timer: NodeJS.Timeout | undefined;
  let giveUp = () => {};
  const given = new Promise<Ending>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, { how: 'late' });
    giveUp = () => resolve({ how: 'given up' });
    signal.addEventListener('abort', giveUp, { once: true });
  });
  const own = (async (): Promise<Ending> => {
    try {
      await handle();
      return { how: 'returned' };
    } catch (error) {
      return { how: 'threw', error };
    }
  })();
  try {
    return await Promise.race([own, given]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', giveUp);
  }
}

interface Failure {
  readonly public: string;
  readonly full: string;
  /** In place of the failure: PostgreSQL went away, which is no fault of the handler's. */
  readonly outage?: unknown;
}

function failureOf(
  ending: Ending,
  fence: FencedTransaction,
  of: { readonly unfinished: number; readonly timeoutMs: number; readonly attempt: number },
): Failure | null {
  const { unfinished, timeoutMs, attempt } = of;
  if (ending.how === 'late') {
    const said = `did not end within ${timeoutMs / 1000} s.`;
    return { public: said, full: said };
  }
  const failed = fence.failed();
  if (failed !== null && isOutage(failed.error, attempt))
    return { public: '', full: '', outage: failed.error };
  if (ending.how === 'threw') return thrown(ending.error);
  if (failed !== null) {
    const { kind, words } = describeThrown(failed.error);
    const caught = 'caught the error of a statement that failed, after which the transaction is lost';
    return { public: `${caught} (${kind}).`, full: `${caught}. The statement ${words}` };
  }
  if (unfinished > 0) {
    const said = `ended before ${unfinished} of its statements did: await every tx.query.`;
    return { public: said, full: said };
  }
  return null;
}

function thrown(error: unknown): Failure {
  const { kind, words } = describeThrown(error);
  // A refusal's words are ours, and tell what to do.
  return {
    public: error instanceof StatementRefused ? `failed: ${error.message}` : `failed (${kind}).`,
    full: words,
  };
}

/** Attempts after which PostgreSQL's own words for a lost connection or a deadlock are taken for the handler's doing. */
const MOST_OUTAGES = 20;

/**
 * Whether time mends it: the connection is lost, or PostgreSQL took this transaction back in favour of another one.
 * All else that a statement of a handler's fails with is the handler's failure, also what would be an outage anywhere
 * else: a function may raise any code, for ever, and that must not hold its entity up for ever. Nor must a deadlock
 * that comes back each time.
 */
function isOutage(error: unknown, attempt: number): boolean {
  if (!(error instanceof DatabaseError)) return isTransientPostgresError(error);
  return attempt < MOST_OUTAGES && /^(08...|57P0.|40001|40P01)$/.test(error.code ?? '');
}

/**
 * A deferred constraint speaks up at COMMIT, where nobody could tell which event broke it. So it is asked here, in a
 * savepoint that takes the asking back: it is deferred again for the next handler. One round trip.
 */
const CHECK_DEFERRED = `
savepoint stripe_sync_handler;
set constraints all immediate;
rollback to savepoint stripe_sync_handler;
release savepoint stripe_sync_handler`;

async function checkDeferred(client: PoolClient, { id, type }: LedgerEvent, attempt: number): Promise<void> {
  try {
    await client.query(CHECK_DEFERRED);
  } catch (error) {
    if (isOutage(error, attempt)) throw error;
    throw new HandlerFailure({ id, type }, thrown(error));
  }
}
