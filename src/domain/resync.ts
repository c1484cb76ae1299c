/** What a resync asks for, and what becomes of several that wait at a time. */

/** It is shown in one line. */
const MOST_REASON = 100;

export interface Resync {
  /** Object or table names; everything that can be listed where null. */
  readonly types: readonly string[] | null;
  /** Seconds of Stripe's clock: only what was created from then on; all of it without. */
  readonly since?: number | null;
  /** The same for single types, by Stripe's name. */
  readonly sinceOf?: Readonly<Record<string, number>>;
  /** Why, for people. */
  readonly reason: string;
}

/** What a signal asks for. It may come from the Temporal UI with anything in it: what makes no sense is left out. */
export function resyncFrom(request: unknown, types: readonly string[] | null): Resync {
  const given = (typeof request === 'object' && request !== null ? request : {}) as Record<string, unknown>;
  const named = Array.isArray(given.types) ? given.types.filter((name) => typeof name === 'string') : [];
  const seconds = Object.entries(isRecord(given.sinceOf) ? given.sinceOf : {}).flatMap(([object, second]) =>
    typeof second === 'number' && Number.isFinite(second) ? [[object, Math.floor(second)] as const] : [],
  );
  return {
    types: named.length > 0 ? named : types,
    reason: typeof given.reason === 'string' ? given.reason.slice(0, MOST_REASON) : 'asked for',
    ...(typeof given.since === 'number' && Number.isFinite(given.since)
      ? { since: Math.floor(given.since) }
      : {}),
    ...(seconds.length > 0 ? { sinceOf: Object.fromEntries(seconds) } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** From which second on a type is asked for; null: all of it. */
export function sinceOf(resync: Resync, object: string): number | null {
  return resync.sinceOf?.[object] ?? resync.since ?? null;
}

/** Whether it lists all that there is. */
export function isWhole(resync: Resync): boolean {
  return resync.types === null && resync.since == null && Object.keys(resync.sinceOf ?? {}).length === 0;
}

/**
 * The next backfill, of those that were asked for: everything, where one asks for that; otherwise all that name their
 * types, together; otherwise the first. And what still waits then.
 */
export function nextResync(
  asked: readonly Resync[],
): { readonly next: Resync; readonly rest: readonly Resync[] } | null {
  const [first] = asked;
  if (first === undefined) return null;
  const { reason } = first;
  if (asked.some(isWhole)) return { next: { types: null, reason }, rest: [] };
  if (first.types === null) return { next: first, rest: asked.slice(1) };
  const named = asked.filter((resync) => resync.types !== null);
  return { next: together(named, reason), rest: asked.filter((resync) => resync.types === null) };
}

/** A type is asked for from the earliest second on that any of them names, or as a whole. */
function together(asked: readonly Resync[], reason: string): Resync {
  const types = [...new Set(asked.flatMap((resync) => resync.types ?? []))];
  const earliest: Record<string, number> = {};
  for (const object of types) {
    const seconds = asked
      .filter((resync) => resync.types?.includes(object))
      .map((resync) => sinceOf(resync, object));
    if (seconds.every((second) => second !== null)) earliest[object] = Math.min(...seconds);
  }
  return { types, reason, ...(Object.keys(earliest).length === 0 ? {} : { sinceOf: earliest }) };
}
