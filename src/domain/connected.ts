/** What follows for one connected account from what is known of it. Pure. */

/** An alias that holds a connected account, whether with its platform's key or with its own. */
export interface Holder {
  readonly account: string;
  /** The account at Stripe (`acct_…`). */
  readonly stripeAccount: string;
  /** Whether it was started with the other accounts of a platform before. */
  readonly followed: boolean;
  /** Whether it was ever opened, by whomever. */
  readonly opened: boolean;
}

/**
 * - `start`: nobody has started it yet, or a person asks for it now.
 * - `adopt`: it runs already, under an alias of its own, and belongs to the followed ones from now on.
 * - `leave`: it runs, or was stopped; either way nothing is to be done.
 */
export type Step = 'start' | 'adopt' | 'leave';

/**
 * What was started once with the others is never started again by itself: where it does not run, somebody stopped it.
 *
 * @param holder null where no alias holds the account
 * @param runs whether that alias' workflow runs
 * @param asked whether a person starts them all now, and no schedule
 */
export function stepFor(holder: Omit<Holder, 'stripeAccount'> | null, runs: boolean, asked: boolean): Step {
  if (holder === null) return 'start';
  if (holder.followed) return 'leave';
  if (runs) return 'adopt';
  return asked || !holder.opened ? 'start' : 'leave';
}

/**
 * The alias of an account that none holds yet: its id, which is the only name that no two accounts share.
 *
 * @returns null where the id cannot be an alias
 */
export function aliasOf(stripeAccount: string): string | null {
  return /^acct_[A-Za-z0-9_]{1,59}$/.test(stripeAccount) ? stripeAccount : null;
}

/** Of several aliases that hold the same account: one that was followed before, or else one that was opened. */
export function holderOf(holders: readonly Holder[], stripeAccount: string): Holder | null {
  const rank = ({ followed, opened }: Holder): number => (followed ? 2 : 0) + (opened ? 1 : 0);
  return (
    holders
      .filter((holder) => holder.stripeAccount === stripeAccount)
      .sort((a, b) => rank(b) - rank(a) || (a.account < b.account ? -1 : 1))[0] ?? null
  );
}
