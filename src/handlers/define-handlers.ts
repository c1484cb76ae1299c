import type Stripe from 'stripe';

/** Name of a snapshot event type that Stripe's package knows: `invoice.paid`. */
export type EventTypeName = Stripe.Event['type'];

type EventsByType = { readonly [E in Stripe.Event as E['type']]: E };

/** Stripe's event of a type: `EventOf<'invoice.paid'>` carries an invoice. */
export type EventOf<T extends EventTypeName> = EventsByType[T];

/** What the events of a type tell of: `ObjectOf<'invoice.paid'>` is `Stripe.Invoice`. */
export type ObjectOf<T extends EventTypeName> = EventOf<T>['data']['object'];

/** The row of an object (`HandlerRow<Stripe.Invoice>`) in its table, as the transaction leaves it. */
export interface HandlerRow<O = unknown> {
  readonly id: string;
  /** The newest state; that of a deleted object is its last one. Numbers as in `HandlerContext.event`. */
  readonly data: O;
  readonly deleted: boolean;
  /** Bounds, on Stripe's clock, of the moment at which the state was current. */
  readonly asOf: Date;
  readonly asOfUntil: Date;
}

/** The transaction that applies the change. What is written through it commits with the change, or not at all. */
export interface HandlerTransaction {
  /**
   * Sends one statement, with values for `$1`, `$2` and so on. Statements run one after the other. A `bigint`
   * comes as a number up to 2^53 and as a string beyond, a `numeric` as a string.
   *
   * Once a statement has failed the transaction is lost, as ever in PostgreSQL: the event is tried again even
   * where the error was caught. Refused are several statements in one text, what would begin or end a
   * transaction (savepoints too), what would outlive it on the connection (`set` without `local`, `listen` …),
   * and anything sent after the handler has ended, has run out of time or was given up.
   */
  query<R = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ readonly rows: R[]; readonly rowCount: number | null }>;
}

export interface HandlerContext<T extends EventTypeName = EventTypeName> {
  /** Alias of the account. */
  readonly account: string;
  /**
   * The event as Stripe sent it, parsed as `JSON.parse` does, and Stripe's own package too: a number beyond 2^53 is
   * rounded. Its digits are whole in the ledger: `select event #>> '{data,object,quantity}' from
   * stripe_sync.events where account = $1 and id = $2`.
   */
  readonly event: EventOf<T>;
  readonly row: HandlerRow<ObjectOf<T>>;
  /** The row holds a newer state than this event: the event came late, or newer ones came with it. */
  readonly superseded: boolean;
  readonly tx: HandlerTransaction;
  /** Aborts when the handler has run out of time or its attempt was given up. Hand it to `fetch` and the like. */
  readonly signal: AbortSignal;
}

/** Runs inside the transaction that applies the event. What it throws rolls its effect back. A promise is awaited. */
export type Handler<T extends EventTypeName = EventTypeName> = (context: HandlerContext<T>) => unknown;

/** One handler an event type; `*` takes the events of all types that have none of their own. */
export type Handlers = {
  readonly [T in EventTypeName]?: Handler<T>;
} & { readonly '*'?: Handler };

/**
 * Gives handlers their types; a plain object does the same without them. To be the default export of the file that
 * `stripe-sync worker --handlers FILE` names:
 *
 *     export default defineHandlers({
 *       'invoice.paid': async ({ event, tx }) => {
 *         await tx.query('insert into paid (invoice, cents) values ($1, $2)',
 *           [event.data.object.id, event.data.object.amount_paid]);
 *       },
 *     });
 *
 * A handler runs once per event, in the order of the events of each object, inside the transaction that applies
 * the change: its effect through `tx` happens exactly once, in the same commit. What it does elsewhere (mail,
 * HTTP) may happen again when the transaction is rolled back. Events that lost against a newer state run too,
 * marked `superseded`. Rows that a backfill brings have no event, so no handler runs for them.
 *
 * What it throws parks the event after some attempts; other objects go on meanwhile.
 */
export function defineHandlers<K extends EventTypeName | '*'>(handlers: HandlersOf<K>): HandlersOf<K> {
  return handlers;
}

/** Handlers of just these types. */
export type HandlersOf<K extends EventTypeName | '*'> = {
  readonly [T in K]: Handler<T extends EventTypeName ? T : EventTypeName>;
};
