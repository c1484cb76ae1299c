/**
 * How an endpoint gets its events, and what goes wrong on the way. All times are in seconds of the simulator's clock, so
 * that three days of retries pass in a test that advances it.
 */
import type { Random } from './random.js';
import { drawDelay, type VisibilityProfile } from './visibility.js';

export interface RetrySchedule {
  /** The pause after the first attempt; each further pause is `factor` times as long, up to `mostSeconds`. */
  readonly firstSeconds: number;
  readonly factor: number;
  readonly mostSeconds?: number;
  /** No attempt is made later than this after the first one. */
  readonly giveUpSeconds: number;
  /** The most attempts altogether; as many as fit into `giveUpSeconds`, unless it is given. */
  readonly attempts?: number;
}

export interface DeliverySettings {
  /** The share of deliveries that Stripe loses: not one attempt is made. From 0 to 1, as all shares. */
  readonly dropped?: number;
  /** The share of events that are delivered twice, the second time with a fate of its own. */
  readonly duplicated?: number;
  /** The share of deliveries that are held back by up to `shuffleSeconds` (2), so that later ones overtake them. */
  readonly shuffled?: number;
  readonly shuffleSeconds?: number;
  /** From the change to the first attempt: a fixed time, or a distribution; at once, unless it is given. */
  readonly delay?: number | Exclude<VisibilityProfile, (draw: number) => number>;
  readonly retry?: RetrySchedule;
  /** An attempt without a whole answer after so many seconds of the machine's clock has failed; 10 by default. */
  readonly timeoutSeconds?: number;
  /** The most attempts under way to this endpoint; 64 by default. */
  readonly concurrency?: number;
}

/** Live mode: Stripe documents the three days and the exponential backoff, and keeps the steps to itself. */
export const liveRetries: RetrySchedule = {
  firstSeconds: 60,
  factor: 4,
  mostSeconds: 12 * 3600,
  giveUpSeconds: 3 * 86_400,
};

/** Stripe says "quickly", and no figure. */
export const TIMEOUT_SECONDS = 10;
export const CONCURRENCY = 64;
const SHUFFLE_SECONDS = 2;

const SHARES = ['dropped', 'duplicated', 'shuffled'] as const;
const KNOWN = new Set<string>([
  ...SHARES,
  'shuffleSeconds',
  'delay',
  'retry',
  'timeoutSeconds',
  'concurrency',
]);

/** Throws a RangeError for a share that is none, for times that run backwards, and for names that are not known. */
export function checkDeliverySettings(settings: DeliverySettings): DeliverySettings {
  for (const name of Object.keys(settings)) {
    if (!KNOWN.has(name))
      throw new RangeError(`Deliveries have no setting "${name}". There are: ${[...KNOWN].join(', ')}.`);
  }
  for (const name of SHARES) {
    const share = settings[name] ?? 0;
    if (!(share >= 0 && share <= 1)) throw new RangeError(`${name} is a share from 0 to 1, not ${share}.`);
  }
  const { retry = liveRetries, timeoutSeconds = 1, concurrency = 1, shuffleSeconds = 0, delay } = settings;
  if (!(retry.firstSeconds > 0 && retry.factor >= 1 && retry.giveUpSeconds >= 0)) {
    throw new RangeError('A retry schedule needs firstSeconds above 0, a factor of at least 1, and an end.');
  }
  if (!(timeoutSeconds > 0)) throw new RangeError(`timeoutSeconds has to be above 0, not ${timeoutSeconds}.`);
  if (!(concurrency >= 1)) throw new RangeError(`concurrency has to be at least 1, not ${concurrency}.`);
  if (!(shuffleSeconds >= 0))
    throw new RangeError(`shuffleSeconds cannot be below 0, as ${shuffleSeconds} is.`);
  if (typeof delay === 'number' && !(delay >= 0))
    throw new RangeError(`delay cannot be below 0, as ${delay} is.`);
  return settings;
}

/**
 * What becomes of one event at one endpoint: how many seconds after the change each copy is sent for the first time.
 * None for a delivery that is lost, two for one that is doubled.
 *
 * @param randomOf a stream for the event and for each copy, so that one setting never changes what another one draws
 */
export function fateOf(settings: DeliverySettings, randomOf: (label: string) => Random): number[] {
  const random = randomOf('event');
  const dropped = random.chance(settings.dropped ?? 0);
  const duplicated = random.chance(settings.duplicated ?? 0);
  if (dropped) return [];
  return (duplicated ? ['first', 'second'] : ['first']).map((copy) => delayOf(settings, randomOf(copy)));
}

function delayOf(settings: DeliverySettings, random: Random): number {
  const { shuffled = 0, shuffleSeconds = SHUFFLE_SECONDS, delay = 0 } = settings;
  const isHeldBack = random.chance(shuffled);
  const heldBack = random.next() * shuffleSeconds;
  return (typeof delay === 'number' ? delay : drawDelay(delay, random)) + (isHeldBack ? heldBack : 0);
}

/**
 * How long to wait after a failed attempt, in seconds; undefined to give up.
 *
 * @param attempts how many were made
 * @param elapsed seconds since the first one was made
 */
export function retryPause(schedule: RetrySchedule, attempts: number, elapsed: number): number | undefined {
  if (attempts >= (schedule.attempts ?? Number.POSITIVE_INFINITY)) return undefined;
  const pause = Math.min(
    schedule.firstSeconds * schedule.factor ** (attempts - 1),
    schedule.mostSeconds ?? Number.POSITIVE_INFINITY,
  );
  return elapsed + pause > schedule.giveUpSeconds ? undefined : pause;
}
