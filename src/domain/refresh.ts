/** What a refresh lists, and from when on. Times are whole seconds. */

/** A type that is to be refreshed, with what its listings so far have shown. */
export interface Refreshable {
  readonly object: string;
  /** What a refresh may leave out: what is older, parents that have not changed, or nothing. */
  readonly partly: 'newest' | 'parents' | null;
  /** Everything that was created before is in the table, on Stripe's clock; null where no listing proves it. */
  readonly completeTo: number | null;
  /** How long ago it was last listed whole; null where it never was. */
  readonly wholeSecondsAgo: number | null;
  /** Whether no listing has ever shown one, and no event either. */
  readonly isUnused: boolean;
  /** `created` of the oldest row that may still change; null where there is none. */
  readonly oldestOpen: number | null;
}

export interface RefreshRhythm {
  /** Between two refreshes. */
  readonly everySeconds: number;
  /** How late Stripe's lists show what is new, as far as it is known. */
  readonly lagSeconds: number;
}

/** In the form of a request for a resync. */
export interface RefreshPlan {
  /** Stripe's names. */
  readonly types: readonly string[];
  /** The second of Stripe's clock from which on a type is listed; all of it where it is missing. */
  readonly sinceOf: Readonly<Record<string, number>>;
}

/** Clocks and lists that are a little off cost a page at most. */
const MARGIN_SECONDS = 60;
/** A walk sees what changed under a changed parent. What changed under another one is seen within this time. */
const WHOLE_WITHIN_SECONDS = 7 * 86_400;
/** Most accounts use few of Stripe's types, and each costs a request. One that comes into use is seen within this time. */
const UNUSED_WITHIN_SECONDS = 3 * 86_400;

export function planOf(all: readonly Refreshable[], rhythm: RefreshRhythm): RefreshPlan {
  const types = all.filter((type) => !isLeftOut(type, rhythm));
  const sinceOf: Record<string, number> = {};
  for (const type of types) {
    const since = sinceFor(type, rhythm);
    if (since !== null) sinceOf[type.object] = since;
  }
  return { types: types.map(({ object }) => object), sinceOf };
}

function isLeftOut({ isUnused, wholeSecondsAgo }: Refreshable, { everySeconds }: RefreshRhythm): boolean {
  return isUnused && wholeSecondsAgo !== null && wholeSecondsAgo + everySeconds <= UNUSED_WITHIN_SECONDS;
}

function sinceFor(type: Refreshable, { everySeconds, lagSeconds }: RefreshRhythm): number | null {
  const { partly, completeTo, wholeSecondsAgo, oldestOpen } = type;
  if (partly === null || completeTo === null) return null;
  // The next refresh may come too late for it, so this one is the last that is in time.
  const isDue = wholeSecondsAgo === null || wholeSecondsAgo + everySeconds > WHOLE_WITHIN_SECONDS;
  if (partly === 'parents' && isDue) return null;
  const shown = completeTo - lagSeconds - MARGIN_SECONDS;
  return Math.max(0, partly === 'newest' ? Math.min(shown, oldestOpen ?? shown) : shown);
}
