/** How far another clock is from this machine's, from answers that tell a time. */
import { type Finding, ok, warn } from './check.js';

/** A webhook's signature is good for 300 s of this machine's clock, and a clock that is off does not stop there. */
const WARN_FROM_SECONDS = 5;

/** How far another clock was ahead of ours, in seconds, when an answer told it. */
export interface Told {
  /** What the other clock said, in seconds since 1970. */
  readonly seconds: number;
  /** Ours when the answer was there, in milliseconds since 1970. */
  readonly receivedMs: number;
  /** From the question to the answer, in milliseconds. */
  readonly tookMs: number;
}

/**
 * The offset in seconds, above zero where the other clock is ahead; null without an answer. It is the middle one, since
 * a single answer may come by a machine whose clock is wrong.
 *
 * @param resolution of the other clock, in seconds: a `Date` header has whole ones
 */
export function clockOffset(told: readonly Told[], resolution: number): number | null {
  const offsets = told
    .map(({ seconds, receivedMs, tookMs }) => seconds + resolution / 2 - (receivedMs - tookMs / 2) / 1000)
    .sort((a, b) => a - b);
  return offsets[Math.floor(offsets.length / 2)] ?? null;
}

/** @param whose clock it is, as in "Stripe" */
export function clockFinding(whose: string, offsetSeconds: number): Finding {
  const size = Math.abs(offsetSeconds);
  const way = offsetSeconds > 0 ? 'behind' : 'ahead of';
  if (size < WARN_FROM_SECONDS)
    return ok(`less than ${WARN_FROM_SECONDS} s between this machine and ${whose}`);
  return warn(
    `this machine is ${Math.round(size)} s ${way} ${whose}`,
    'Set the clocks by NTP: webhooks are refused from 300 s on (the sync itself goes by the clock of Stripe).',
  );
}
