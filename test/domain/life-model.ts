/**
 * One object's life as Stripe knows it: its true states in their true order, the events that tell of them, and what
 * a read shows at any moment. Times are in tenths of a second of Stripe's clock.
 */
import fc from 'fast-check';
import type { KnownChange } from '../../src/domain/chain.js';
import type { PendingChange } from '../../src/domain/ordering.js';
import type { Json } from '../../src/domain/previous-attributes.js';

type State = { readonly [key: string]: Json };

export interface TrueState {
  readonly state: State;
  readonly deleted: boolean;
  /** From when on a read shows it. */
  readonly readable: number;
}

export interface LifeEvent {
  readonly pending: PendingChange;
  readonly known: KnownChange;
  /** Which of the true states it tells of. */
  readonly index: number;
  readonly readable: number;
}

export interface Life {
  readonly states: readonly TrueState[];
  readonly events: readonly LifeEvent[];
  readonly recreatable: boolean;
}

/** How a change is announced: as Stripe does as a rule, or in one of the ways that carry less or say it twice. */
const ANNOUNCEMENTS = [
  ...Array<'plain'>(12).fill('plain'),
  'silent',
  'beside',
  'beside',
  'twin',
  'foreign',
] as const;

export const drawnSteps = fc.array(
  fc.record({
    gap: fc.constantFrom(0, 0, 0, 0, 1, 1, 3, 9, 20),
    delay: fc.nat(8),
    act: fc.constantFrom(0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8),
    value: fc.nat(2),
    announced: fc.constantFrom(...ANNOUNCEMENTS),
    tie: fc.nat(99),
  }),
  { minLength: 1, maxLength: 8, size: 'max' },
);

const BORN: State = { x: 0, deep: { a: 0, b: 0 }, list: [], note: null };

/** Few values, so that states come back. The last act but one removes or sets a key, the last one changes nothing. */
function acted(state: State, act: number, value: number): State {
  const deep = state.deep as State;
  if (act <= 2) return { ...state, x: value };
  if (act === 3) return { ...state, deep: { ...deep, a: value } };
  if (act === 4) return { ...state, deep: { ...deep, b: { c: value } } };
  if (act === 5) return { ...state, list: Array.from({ length: value }, (_, at) => ({ at })) };
  if (act === 6) {
    const { extra: _gone, ...rest } = state;
    return value === 0 ? rest : { ...rest, extra: value };
  }
  return state;
}

/** Written after Stripe's documentation, and not after the code under test. */
export function diff(before: State, after: State): State {
  const changed: Record<string, Json> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [old, now] = [before[key], after[key]];
    if (JSON.stringify(old) === JSON.stringify(now)) continue;
    const bothHashes = [old, now].every((v) => typeof v === 'object' && v !== null && !Array.isArray(v));
    changed[key] = bothHashes ? diff(old as State, now as State) : (old ?? null);
  }
  return changed;
}

function sorted(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

export const textOf = (value: Json): string => JSON.stringify(sorted(value));

type Step = {
  gap: number;
  delay: number;
  act: number;
  value: number;
  announced: (typeof ANNOUNCEMENTS)[number];
  tie: number;
};

export function lifeOf(steps: readonly Step[], recreatable: boolean): Life {
  const states: TrueState[] = [];
  const events: LifeEvent[] = [];
  let at = 1_000;
  for (const { gap, delay, act, value, announced, tie } of steps) {
    const before = states.at(-1);
    if (before?.deleted === true && !recreatable) break;
    at += gap;
    const kind = before === undefined || before.deleted ? 'created' : act === 8 ? 'deleted' : 'updated';
    const base = before?.state ?? BORN;
    const state =
      kind === 'updated' ? acted(base, act, value) : kind === 'created' ? { ...BORN, x: value } : base;
    // Reads show changes in the order in which they were made.
    const readable = Math.max(at + delay, before?.readable ?? 0);
    const index = states.push({ state, deleted: kind === 'deleted', readable }) - 1;
    const previous = kind === 'updated' ? textOf(diff(base, state)) : null;
    const announce = (over: { previous: string | null; version?: string; unnamed?: boolean }): void => {
      const id = `evt_${tie}_${events.length}`;
      const version = over.version ?? 'v1';
      // Some objects have no event type of their own for their making: the first event looks like an update.
      const shown = over.unnamed === true && kind === 'created' && !recreatable ? 'updated' : kind;
      const text = textOf(version === 'v1' ? state : { ...state, renderedIn: version });
      const common = { id, kind: shown, digest: text } as const;
      events.push({
        pending: { ...common, created: Math.floor(at / 10), usable: version === 'v1' },
        known: { ...common, apiVersion: version, state: text, previousAttributes: over.previous },
        index,
        readable,
      });
    };
    if (announced === 'silent') announce({ previous: null, unnamed: true });
    else if (announced === 'foreign') announce({ previous, version: 'v0' });
    else announce({ previous });
    if (kind === 'updated' && announced === 'beside') announce({ previous: null });
    if (announced === 'twin') announce({ previous });
  }
  return { states, events, recreatable };
}
