/**
 * Stripe's objects carry no version, so a row carries the interval of Stripe's clock, in whole seconds, in
 * which its state was current. An event's interval is its `created`; a read's is the moment it was made.
 */

export interface Version {
  /** First second in which the state may have been current. */
  readonly asOf: number;
  /** Last second in which it may have been current. */
  readonly asOfUntil: number;
}

/** How one version stands to another: wholly after it, wholly before it, or not to be told by the clock. */
export type Standing = 'newer' | 'older' | 'overlapping';

export function standing(incoming: Version, current: Version): Standing {
  if (incoming.asOf > current.asOfUntil) return 'newer';
  if (incoming.asOfUntil < current.asOf) return 'older';
  return 'overlapping';
}

export function eventVersion(created: number): Version {
  return { asOf: created, asOfUntil: created };
}
