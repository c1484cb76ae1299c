/** What an account was started with. Travels in every run's input: fields are added, never renamed. */

import type { Entities } from '../src/domain/backlog.js';
import type { Hydrate } from '../src/domain/hydrate.js';
import type { LagLimits } from '../src/domain/lag.js';

export interface AccountSettings {
  readonly lag: LagLimits;
  readonly hydrate: Hydrate;
  readonly poll: {
    /** Between two passes, in seconds. */
    readonly everySeconds: number;
    /** And while no events come; `everySeconds` where somebody fixed it; not set by 0.3.0. */
    readonly slowestSeconds?: number;
    /** How long one fetch waits for something to hand on. */
    readonly waitSeconds: number;
    /** Pages of 100 events that one pass walks at most. */
    readonly pageCap: number;
    /** References that one fetch hands on at most. */
    readonly batch: number;
  };
  readonly rescan: {
    readonly everySeconds: number;
    /** How far behind the cursor each one lists again. */
    readonly windowSeconds: number;
    /** Between two deep rescans, over everything since the one before the last; not set by 0.1.0. */
    readonly deepEverySeconds?: number;
  };
  /** How often stray claims are freed, and how old a claim must be for it. */
  readonly free: { readonly everySeconds: number; readonly olderThanSeconds: number };
  readonly backfill: {
    readonly enabled: boolean;
    /** Stripe object names; all listable ones where null. */
    readonly types: readonly string[] | null;
    /** Types that are listed at a time. */
    readonly concurrency: number;
    /** How long one activity lists before it reports, in seconds. */
    readonly sliceSeconds: number;
    /** Pages of a type that are under way at a time; not set by 0.2.0. */
    readonly walkers?: number;
    /** A type whose listing comes no further is given up after so many attempts; not set by 0.2.0. */
    readonly attempts?: number;
  };
  /** What cannot be applied is tried so often, with a growing wait, before it is parked; not set by 0.1.0. */
  readonly parking?: {
    readonly attempts: number;
    /** Before the second attempt, in seconds; twice as long each time. */
    readonly firstSeconds: number;
    readonly mostSeconds: number;
    /** So long an object is tried to be read before its newer changes get their turn; not set by 0.2.0. */
    readonly readSeconds?: number;
  };
  /**
   * What goes through entity children: all changes (`always`), only what needs one (`never`), or all while they keep up
   * (`auto`); not set by 0.4.0.
   */
  readonly entities?: Entities;
  /** How a backlog is walked; not set by 0.4.0. */
  readonly catchUp?: {
    /** How long one activity walks before it reports, in seconds. */
    readonly sliceSeconds: number;
    /** Pages that are under way at a time. */
    readonly walkers: number;
  };
  /** Entity children that may be under way at a time. */
  readonly maxInFlight: number;
  /** After so many seconds an entity that still waits for Stripe or PostgreSQL no longer takes up room. */
  readonly slowAfterSeconds: number;
  /** Child starts after which a run gives way to the next. */
  readonly childStartsPerRun: number;
  /** Whether the namespace knows `StripeAccount` and `StripeObject`. */
  readonly searchAttributes: boolean;
}

/** What most of the settings are unless somebody says otherwise. */
export const DEFAULT_SETTINGS = {
  lag: { floorSeconds: 5, maxSeconds: 300 },
  hydrate: 'auto',
  poll: { everySeconds: 1, slowestSeconds: 300, waitSeconds: 60, pageCap: 10, batch: 500 },
  rescan: { everySeconds: 600, windowSeconds: 3600, deepEverySeconds: 86_400 },
  free: { everySeconds: 300, olderThanSeconds: 120 },
  backfill: { enabled: true, types: null, concurrency: 8, sliceSeconds: 20, walkers: 8, attempts: 60 },
  entities: 'auto',
  catchUp: { sliceSeconds: 20, walkers: 16 },
  parking: { attempts: 5, firstSeconds: 1, mostSeconds: 60, readSeconds: 180 },
  maxInFlight: 200,
  slowAfterSeconds: 60,
  childStartsPerRun: 500,
  searchAttributes: false,
} satisfies AccountSettings as Required<AccountSettings> & {
  poll: Required<AccountSettings['poll']>;
  rescan: Required<AccountSettings['rescan']>;
  backfill: Required<AccountSettings['backfill']>;
  parking: Required<NonNullable<AccountSettings['parking']>>;
  catchUp: NonNullable<AccountSettings['catchUp']>;
};
