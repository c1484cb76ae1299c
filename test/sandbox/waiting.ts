import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when `condition` holds; fails the test with `what` when it does not within `ms`. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 15_000,
): Promise<void> {
  for (const deadline = Date.now() + ms; !(await condition()); await sleep(100)) {
    if (Date.now() > deadline) throw new Error(`Not within ${ms / 1_000} s: ${what}`);
  }
}
