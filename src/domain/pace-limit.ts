/**
 * One limit on requests: how many a second, and how many at once. Tokens come one by one, so that what is sent is
 * spread evenly; Stripe's own bucket then holds its whole second in reserve for whatever the network bunches up.
 *
 * The rate follows what Stripe says: a refusal lowers it at once, and it grows again by steps, with care near the
 * rate that was refused. Times are milliseconds of a clock that never goes back.
 */

/** Requests that somebody waits for, and those of a backfill. */
export type Lane = 'live' | 'bulk';

export interface LimitSettings {
  /** Requests a second: where the limit begins, and the most that it grows to. At least 1. */
  readonly perSecond: number;
  /** Requests under way at the same time. At least 1. */
  readonly atOnce: number;
  /** Sets no rate before the first refusal. */
  readonly open: boolean;
  /** The live lane's share of the rate: the rest keeps a backfill alive, however busy the live lane is. */
  readonly liveShare?: number;
}

export interface Hold {
  readonly until: number;
  /** As in `Stripe-Rate-Limited-Reason`. */
  readonly reason: string;
}

export interface Limit {
  /** When a request may go as far as this limit is concerned; Infinity: not before one under way has ended. */
  readyAt(lane: Lane, now: number): number;
  take(lane: Lane, now: number): void;
  release(): void;
  /** Lowers the rate, or the number at once, for a request that was sent at `sentAt`. */
  refuse(what: 'rate' | 'concurrency', sentAt: number, now: number): void;
  /** Lets nothing through for as long as Stripe asked, by whichever of its limiters. */
  hold(hold: Hold): void;
  held(): Hold;
  /** Requests a second, now; Infinity while the limit is open. */
  rate(now: number): number;
  /** Requests at once, now. */
  atOnce(now: number): number;
}

/** So many requests may go at once after a pause of the lane. */
export const BURST = 2;
/** The live lane's share of the rate, unless told otherwise. */
export const LIVE_SHARE = 0.9;
export const DECREASE = 0.7;
const FLOOR_PER_SECOND = 1;
/** One refusal tells as much as all of the same second. */
const DECREASE_EVERY_MS = 1_000;
const GROWTH_EVERY_MS = 1_000;
/** A step is this part of the maximum, and at low rates this part of the rate. */
const STEP = { ofMaximum: 1 / 50, ofRate: 1 / 10 } as const;
/** Around the rate that was refused last the steps are small: Stripe's bucket shows late that it runs dry. */
const CAREFUL = { from: 0.9, to: 1.1, step: 1 / 400 } as const;
const ONE_MORE_EVERY_MS = 5_000;
/** The part of what may run at once that bulk leaves to the live lane. */
const RESERVE = 1 / 8;
/** Sums of small fractions of a token never quite reach the whole. */
const ROUNDING = 1e-6;

export function createLimit(settings: LimitSettings): Limit {
  const { perSecond, open, liveShare = LIVE_SHARE } = settings;
  let rate = open ? Number.POSITIVE_INFINITY : perSecond;
  let refusedRate = Number.POSITIVE_INFINITY;
  let atOnce = settings.atOnce;
  let running = 0;
  // Live requests pay from both, and may leave a debt in the first; bulk waits until that is paid.
  const tokens = { all: BURST, live: BURST };
  let held: Hold = { until: Number.NEGATIVE_INFINITY, reason: '' };
  let rateLowered = Number.NEGATIVE_INFINITY;
  let atOnceLowered = Number.NEGATIVE_INFINITY;
  /** When tokens, rate and number at once were last brought up to date; null before the first time. */
  let upTo: number | null = null;
  let grown = 0;
  let widened = 0;

  /** A rate holds for all of the time since it was last asked for, so it is never higher than it was allowed to be. */
  const advance = (now: number): void => {
    const seconds = upTo === null ? 0 : Math.max(0, now - upTo) / 1000;
    upTo = Math.max(now, upTo ?? now);
    const earned = (share: number) => (rate === Infinity ? BURST : seconds * rate * share);
    tokens.all = Math.min(BURST, tokens.all + earned(1));
    tokens.live = Math.min(BURST, tokens.live + earned(liveShare));
    for (; rate < perSecond && now - grown >= GROWTH_EVERY_MS; grown += GROWTH_EVERY_MS) {
      const isCareful = rate >= refusedRate * CAREFUL.from && rate < refusedRate * CAREFUL.to;
      const step = Math.min(perSecond * STEP.ofMaximum, rate * STEP.ofRate);
      rate = Math.min(perSecond, rate + (isCareful ? refusedRate * CAREFUL.step : step));
    }
    for (; atOnce < settings.atOnce && now - widened >= ONE_MORE_EVERY_MS; widened += ONE_MORE_EVERY_MS) {
      atOnce += 1;
    }
  };

  const lowerRate = (now: number): void => {
    refusedRate = Math.min(rate, perSecond);
    rate = Math.max(FLOOR_PER_SECOND, refusedRate * DECREASE);
    rateLowered = now;
    tokens.all = Math.min(tokens.all, 0);
    tokens.live = Math.min(tokens.live, 0);
    grown = now;
  };

  const lowerAtOnce = (now: number): void => {
    // The refused one is not counted any more.
    atOnce = Math.max(1, Math.floor(Math.min(atOnce, running + 1) * DECREASE));
    atOnceLowered = now;
    widened = now;
  };

  return {
    readyAt(lane, now) {
      advance(now);
      const room = lane === 'live' ? atOnce : Math.max(1, Math.floor(atOnce * (1 - RESERVE)));
      if (running >= room) return Number.POSITIVE_INFINITY;
      const missing = 1 - ROUNDING - (lane === 'live' ? tokens.live : tokens.all);
      const perMs = (lane === 'live' ? rate * liveShare : rate) / 1000;
      return Math.max(held.until, now + Math.max(0, missing) / perMs);
    },
    take(lane, now) {
      advance(now);
      tokens.all -= 1;
      if (lane === 'live') tokens.live -= 1;
      running += 1;
    },
    release() {
      running -= 1;
    },
    refuse(what, sentAt, now) {
      advance(now);
      const lowered = what === 'rate' ? rateLowered : atOnceLowered;
      // What was sent before says nothing of the lower rate.
      if (sentAt <= lowered || now - lowered < DECREASE_EVERY_MS) return;
      if (what === 'rate') lowerRate(now);
      else lowerAtOnce(now);
    },
    hold(hold) {
      if (hold.until > held.until) held = hold;
    },
    held: () => held,
    rate(now) {
      advance(now);
      return rate;
    },
    atOnce(now) {
      advance(now);
      return atOnce;
    },
  };
}
