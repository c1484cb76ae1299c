/** Three API versions that should go together: of the account's events, of what is stored, and of the package. */
import Stripe from 'stripe';
import { type Finding, ok, warn } from './check.js';
import type { KnownAccount } from './known-account.js';

/**
 * @param newest version of the account's newest event, which is its default since then; null where it has no events
 */
export function apiVersionFinding(account: string, newest: string | null, known: KnownAccount): Finding {
  const stored = known.told ? (known.row?.apiVersion ?? null) : null;
  const ours = `the stripe package has ${Stripe.API_VERSION}`;
  if (newest === null)
    return ok(`no event tells the account's default; ${stored ?? 'none'} is noted in the tables, ${ours}`);
  if (stored === null) {
    const why = known.told ? 'none is noted in the tables yet' : 'PostgreSQL does not tell what is stored';
    return ok(`events come in ${newest}; ${why}, ${ours}`);
  }
  if (stored === newest) return ok(`events come in ${newest}, in which objects are stored; ${ours}`);
  return warn(
    `events come in ${newest}, and ${stored} is stored, so each change costs a read; ${ours}`,
    `Store the new one: stripe-sync stop ${account}, then stripe-sync start ${account} --fresh, which lists everything again; or set the default in the Stripe Dashboard back to ${stored}.`,
  );
}
