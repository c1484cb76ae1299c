/** Checked by the type checker (`npm run typecheck`), which complains where an expected error stays away. */
import type Stripe from 'stripe';
import { defineHandlers, type HandlerContext, type Handlers } from '../../src/handlers/index.js';

/** Takes the value only where the two types are the same. */
function exactly<Expected>() {
  return <Actual>(_value: Actual, ..._same: Same<Expected, Actual> extends true ? [] : [never]): void => {};
}
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export const typed = defineHandlers({
  'invoice.paid': async ({ account, event, row, superseded, tx, signal }) => {
    exactly<string>()(account);
    exactly<'invoice.paid'>()(event.type);
    exactly<Stripe.Invoice>()(event.data.object);
    exactly<Stripe.Invoice>()(row.data);
    exactly<Date>()(row.asOf);
    exactly<boolean>()(superseded);
    exactly<AbortSignal>()(signal);
    const { rows, rowCount } = await tx.query<{ total: string }>('select $1::numeric as total', [1]);
    exactly<{ total: string }[]>()(rows);
    exactly<number | null>()(rowCount);
    // @ts-expect-error an invoice has no email of its own
    event.data.object.email;
    // @ts-expect-error the row is read only: it is written through tx
    row.deleted = true;
  },
  'customer.subscription.deleted': ({ event, row }) => {
    exactly<Stripe.Subscription>()(event.data.object);
    exactly<Stripe.Subscription>()(row.data);
  },
  'customer.source.updated': ({ event }) => {
    exactly<Stripe.CustomerSource>()(event.data.object);
  },
  '*': ({ event }) => {
    exactly<Stripe.Event>()(event);
    if (event.type === 'charge.refunded') exactly<Stripe.Charge>()(event.data.object);
  },
});

// What was defined is there: a unit test may call it.
exactly<(context: HandlerContext<'invoice.paid'>) => unknown>()(typed['invoice.paid']);
// @ts-expect-error it was not defined
typed['invoice.voided'];

export const returnsAnything = defineHandlers({
  'invoice.paid': ({ tx }) => tx.query('select 1'),
  'customer.deleted': () => undefined,
});

export const fits: Handlers = typed;

export const unknownType = defineHandlers({
  // @ts-expect-error Stripe has no such event type
  'invoice.payed': async () => {},
});

export const noFunction = defineHandlers({
  // @ts-expect-error a handler is a function
  'invoice.paid': 'revenue',
});

export const plain: Handlers = {
  'invoice.paid': async ({ event }) => {
    exactly<Stripe.Invoice>()(event.data.object);
  },
  // @ts-expect-error Stripe has no such event type
  'invoice.payed': async () => {},
};

export const annotated = defineHandlers({
  'customer.created': book,
  // @ts-expect-error it takes customers
  'invoice.paid': book,
});

async function book({ row }: HandlerContext<'customer.created'>): Promise<string> {
  return row.data.id;
}

/** One function may serve several types. */
async function either({ event, row }: HandlerContext<'invoice.paid' | 'charge.refunded'>): Promise<string> {
  return event.type === 'invoice.paid' ? event.data.object.currency : row.data.object;
}

export const shared = defineHandlers({
  'invoice.paid': (context) => either(context),
  'charge.refunded': either,
  // @ts-expect-error but no other
  'customer.created': either,
});
