import { messageOf } from './failure-text.js';
import { temporalFailureText } from './temporal-failure.js';

/** A line on stderr, as failures are told. */
function sayOnStderr(line: string): void {
  process.stderr.write(`stripe-sync: ${line}\n`);
}

/**
 * Does something to an account's schedules. Where Temporal does not let us, that is one line and no failure: events
 * are synced without schedules too.
 *
 * @param what could not be done then, as in "its schedules were not removed"
 * @returns what it answers; null where it failed
 */
export async function orSay<T>(
  account: string,
  what: string,
  call: () => Promise<T>,
  say: (line: string) => void = sayOnStderr,
): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    const why = temporalFailureText(error) ?? messageOf(error);
    say(`${account}: ${what}. ${why.split('\n')[0]}`);
    return null;
  }
}
