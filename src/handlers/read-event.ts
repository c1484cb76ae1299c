import type { PoolClient } from 'pg';
import type Stripe from 'stripe';

/** A transaction on the server, told from every other that the same process ran or will run. */
export interface Session {
  readonly pid: number;
  /** Beginning of the transaction, as text: a `Date` holds milliseconds only. */
  readonly began: string;
}

export interface LedgerEvent {
  readonly id: string;
  readonly type: string;
  readonly event: Stripe.Event;
  readonly session: Session;
}

const READ_EVENT = `
select type, event, pg_backend_pid() as pid, now()::text as began
from stripe_sync.events
where account = $1 and id = $2`;

/** An event of the ledger, and the session that reads it. Throws where the ledger has none of that id. */
export async function readEvent(client: PoolClient, account: string, id: string): Promise<LedgerEvent> {
  const { rows } = await client.query<{ type: string; event: Stripe.Event; pid: number; began: string }>(
    READ_EVENT,
    [account, id],
  );
  const found = rows[0];
  if (found === undefined) throw new Error(`the ledger of ${account} has no event ${id}`);
  return { id, type: found.type, event: found.event, session: { pid: found.pid, began: found.began } };
}
