/** What a check finds, and how checks run beside each other: each has a deadline, and none can fail another. */
import { failureText, withoutSecrets } from '../failure-text.js';

export const GROUPS = ['Stripe', 'PostgreSQL', 'Temporal'] as const;
export type Group = (typeof GROUPS)[number];

export interface Finding {
  readonly result: 'ok' | 'warn' | 'fail';
  /** One line. */
  readonly found: string;
  /** One line on what to do; with `warn` and `fail` only. */
  readonly remedy?: string;
}

/** One entry of `doctor --json`. Fields are added, never renamed. */
export interface CheckReport extends Finding {
  readonly group: Group;
  readonly check: string;
}

export const ok = (found: string): Finding => ({ result: 'ok', found });
export const warn = (found: string, remedy: string): Finding => ({ result: 'warn', found, remedy });
export const fail = (found: string, remedy: string): Finding => ({ result: 'fail', found, remedy });

/** For each check, unless it says otherwise. */
export const DEADLINE_MS = 10_000;
/** For what has a deadline of `DEADLINE_MS` of its own, whose words tell more than ours. */
export const OUTER_DEADLINE_MS = DEADLINE_MS + 2_000;

export interface Examiner {
  /** Never rejects: what `ask` throws is a failed check. `signal` aborts at the deadline. */
  check(
    name: string,
    ask: (signal: AbortSignal) => Finding | Promise<Finding>,
    deadlineMs?: number,
  ): Promise<CheckReport>;
}

export function createExaminer(group: Group): Examiner {
  return {
    async check(name, ask, deadlineMs = DEADLINE_MS) {
      const { result, found, remedy } = await beforeDeadline(ask, deadlineMs);
      const told = { group, check: name, result, found: oneLine(found) };
      return remedy === undefined ? told : { ...told, remedy: oneLine(remedy) };
    },
  };
}

/** The finding for an error, whose text for people tells what happened and then what to do. */
export function failed(error: unknown): Finding {
  const [found, remedy] = foundAndRemedy(failureText(error).text);
  return fail(found, remedy);
}

/** Cuts a text for people behind what happened: at its first full stop, or at its colon where it is one sentence. */
export function foundAndRemedy(text: string): [found: string, remedy: string] {
  const line = oneLine(text);
  const [, found, remedy] =
    /^(.+?[^.])\. (?=[A-Z])(.+)$/.exec(line) ??
    /^(.+?\)): (.+)$/.exec(line) ??
    /^(.+?): (.+)$/.exec(line) ??
    [];
  if (found === undefined || remedy === undefined) return [line, 'Put that right, then run this again.'];
  return [found, `${remedy[0]?.toUpperCase()}${remedy.slice(1)}`];
}

async function beforeDeadline(
  ask: (signal: AbortSignal) => Finding | Promise<Finding>,
  deadlineMs: number,
): Promise<Finding> {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Finding>((resolve) => {
    timer = setTimeout(() => {
      resolve(
        fail(
          `there was no answer within ${deadlineMs / 1000} s`,
          'Try again; if this goes on, look at the load of the server and at the network.',
        ),
      );
      over.abort();
    }, deadlineMs);
  });
  try {
    return await Promise.race([late, Promise.resolve(over.signal).then(ask).catch(failed)]);
  } finally {
    clearTimeout(timer);
  }
}

/** Errors may quote what others wrote: it must neither break the line, nor steer the terminal, nor show a key. */
function oneLine(text: string): string {
  return withoutSecrets(text)
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029\s]+/gu, ' ')
    .trim();
}
