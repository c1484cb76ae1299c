/** Books revenue into a table of one's own: stripe-sync worker --handlers examples/revenue/handlers.ts */
import { defineHandlers, type HandlerContext } from 'durable-stripe-sync';

type Booked = 'invoice.paid' | 'refund.created' | 'refund.failed';

export default defineHandlers({
  // What was paid by then stands in the event. The row may be further on already.
  'invoice.paid': (context) => {
    const invoice = context.event.data.object;
    return book(context, 'payment', invoice, invoice.amount_paid);
  },

  'refund.created': (context) => {
    const refund = context.event.data.object;
    return book(context, 'refund', refund, -refund.amount);
  },

  // The money comes back, so the refund is taken out again.
  'refund.failed': (context) => {
    const refund = context.event.data.object;
    return book(context, 'failed refund', refund, refund.amount);
  },
});

async function book(
  { account, event, tx }: HandlerContext<Booked>,
  kind: 'payment' | 'refund' | 'failed refund',
  object: { readonly id: string; readonly currency: string },
  amount: number,
): Promise<void> {
  await tx.query(
    `insert into revenue.bookings (account, event_id, kind, object_id, currency, amount, booked_for)
     values ($1, $2, $3, $4, $5, $6, to_timestamp($7))`,
    [account, event.id, kind, object.id, object.currency, amount, event.created],
  );
}
