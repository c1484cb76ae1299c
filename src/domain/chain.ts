/**
 * Which state an object ended a second in, read off the `previous_attributes` of its changes.
 *
 * Each change leads from the state that it found to the state that it left. Taken together, the changes of a second
 * are a walk from state to state, and a walk that does not end where it began has one end: the state that is entered
 * once more than it is left. That holds whatever states come back on the way, so it needs no guess at the order.
 *
 * It holds only where no change is missing, and that nobody knows: events surface late. So the end found here is the
 * end of what is known, and whoever uses it must ask again with every further change of that second (planChanges).
 */
import type { ChangeKind } from './ordering.js';
import {
  hasOldValues,
  parseExactly,
  type StateAfter,
  tellsBefore,
  wasFoundBy,
} from './previous-attributes.js';

/** A change of the ledger, settled or not, with what it says of its second. */
export interface KnownChange {
  readonly id: string;
  readonly kind: ChangeKind;
  readonly apiVersion: string | null;
  /** Digest of the state that the event carries. */
  readonly digest: string;
  /** That state as JSON text, and `previous_attributes` where the event has them. */
  readonly state: string;
  readonly previousAttributes: string | null;
}

/** Where the known changes of a second end. */
export interface SecondEnd {
  /** Whole second of Stripe's clock. */
  readonly second: number;
  /** Digest of the newest state. */
  readonly digest: string;
  /** All known changes of the second, in an order that they can have happened in. */
  readonly order: readonly string[];
}

/** More changes of one object in one second are read from Stripe: each is compared with each. */
export const MOST_KNOWN = 32;

/** Where the walk begins that a creation begins. No digest looks like it. */
const NOTHING = 'nothing';

interface Step {
  readonly id: string;
  readonly from: string;
  readonly to: string;
}

interface Candidate extends StateAfter {
  readonly id: string;
  readonly kind: ChangeKind;
  readonly digest: string;
}

/**
 * @param known all changes of one object in that second that the ledger has, whatever became of them
 * @returns null where the changes do not tell
 */
export function endOfSecond(
  second: number,
  known: readonly KnownChange[],
  traits: { readonly recreatable: boolean },
): SecondEnd | null {
  if (known.length > MOST_KNOWN || !areComparable(known, traits.recreatable)) return null;
  const candidates = parseAll(known);
  if (candidates === null) return null;
  const steps = stepsOf(candidates);
  if (steps === null) return null;
  const walk = walkOf(steps);
  if (walk === null) return null;
  // A change that does not say what it found may have come from anywhere. Where it left the state that the walk ends
  // in, it can only have found that state too: two steps into it and none out of it are no walk.
  const walked = new Set(walk.order);
  const silent = candidates.filter(({ id }) => !walked.has(id));
  if (silent.some(({ digest }) => digest !== walk.end)) return null;
  return { second, digest: walk.end, order: [...walk.order, ...silent.map(({ id }) => id)] };
}

/** States of different API versions differ without a change; a deletion may begin another life. */
function areComparable(known: readonly KnownChange[], recreatable: boolean): boolean {
  const [first] = known;
  return known.every(
    ({ kind, apiVersion }) =>
      apiVersion !== null &&
      apiVersion === first?.apiVersion &&
      kind !== 'deleted' &&
      !(recreatable && kind === 'created'),
  );
}

function parseAll(known: readonly KnownChange[]): Candidate[] | null {
  const candidates: Candidate[] = [];
  for (const { id, kind, digest, ...texts } of [...known].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const state = parseExactly(texts.state);
    const previous = parseExactly(texts.previousAttributes ?? 'null');
    if (state === null || previous === null) return null;
    candidates.push({ id, kind, digest, state: state.value, previousAttributes: previous.value });
  }
  return candidates;
}

/** The steps of those changes that say what they found. Null where one says two things, or two say the same. */
function stepsOf(candidates: readonly Candidate[]): Step[] | null {
  const states = [...new Map(candidates.map((candidate) => [candidate.digest, candidate])).values()];
  const steps: Step[] = [];
  for (const candidate of candidates) {
    const { id, kind, digest } = candidate;
    if (kind === 'created') {
      steps.push({ id, from: NOTHING, to: digest });
      continue;
    }
    if (!tellsBefore(candidate.previousAttributes)) continue;
    const found = states.filter(({ state }) => wasFoundBy(state, candidate));
    if (found.length > 1 || found[0]?.digest === digest) return null;
    // Another state with the old values, and yet not the one that was found: it may have come before all the same.
    if (found.length === 0 && states.some(({ state }) => hasOldValues(state, candidate))) return null;
    steps.push({ id, from: found[0]?.digest ?? `before ${id}`, to: digest });
  }
  // Two events for one change look like one change that was made twice, and the walks of the two differ.
  const isRepeated = new Set(steps.map(({ from, to }) => `${from} ${to}`)).size < steps.length;
  return isRepeated ? null : steps;
}

/** The walk that takes every step once, or null where there is none or where it may begin and end anywhere. */
function walkOf(steps: readonly Step[]): { readonly end: string; readonly order: readonly string[] } | null {
  const surplus = new Map<string, number>();
  const leaving = new Map<string, Step[]>();
  for (const step of [...steps].reverse()) {
    surplus.set(step.from, (surplus.get(step.from) ?? 0) + 1);
    surplus.set(step.to, (surplus.get(step.to) ?? 0) - 1);
    leaving.set(step.from, [...(leaving.get(step.from) ?? []), step]);
  }
  const uneven = [...surplus].filter(([, count]) => count !== 0);
  const start = uneven.find(([, count]) => count === 1)?.[0];
  const end = uneven.find(([, count]) => count === -1)?.[0];
  if (uneven.length !== 2 || start === undefined || end === undefined) return null;

  // Hierholzer: go on while there is a way, and put detours in where they branch off.
  const order: string[] = [];
  const path: { readonly at: string; readonly by: string | null }[] = [{ at: start, by: null }];
  for (let here = path.at(-1); here !== undefined; here = path.at(-1)) {
    const next = leaving.get(here.at)?.pop();
    if (next !== undefined) {
      path.push({ at: next.to, by: next.id });
      continue;
    }
    path.pop();
    if (here.by !== null) order.unshift(here.by);
  }
  return order.length === steps.length ? { end, order } : null;
}
