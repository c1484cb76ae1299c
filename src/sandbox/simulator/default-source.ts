/**
 * Which of its cards, bank accounts and sources a customer pays with. Stripe takes the first one for the default, leaves
 * the default alone when others follow, and puts the most recently added one in the place of one that goes.
 */
import { idOf } from './json.js';
import type { Entry, Store } from './store.js';

const SOURCES = ['bank_account', 'card', 'source'];

export interface MovedDefault {
  readonly customer: string;
  /** The id of the new default; null where none is left. */
  readonly source: string | null;
}

/**
 * The customers whose default has to follow from a change of an object.
 *
 * @param before as it was; undefined where it is new
 * @param after as the store has it by now
 */
export function movedDefaults(store: Store, before: Entry | undefined, after: Entry): MovedDefault[] {
  if (!SOURCES.includes(after.object)) return [];
  const from = holderOf(before);
  const to = holderOf(after);
  if (from === to) return [];
  const moved: MovedDefault[] = [];
  if (from !== undefined && defaultOf(store, from) === after.id)
    moved.push({ customer: from, source: newestOf(store, from) });
  if (to !== undefined && defaultOf(store, to) === null) moved.push({ customer: to, source: after.id });
  return moved;
}

/** The customer that can pay with it: none where it is deleted, or takes the payouts of a connected account. */
function holderOf(entry: Entry | undefined): string | undefined {
  if (entry === undefined || entry.deleted || idOf(entry.data.account) !== undefined) return undefined;
  return idOf(entry.data.customer);
}

/** Undefined where there is no such customer, who then has no default to move. */
function defaultOf(store: Store, customer: string): string | null | undefined {
  const entry = store.alive('customer', customer);
  return entry === undefined ? undefined : (idOf(entry.data.default_source) ?? null);
}

/** By the second in which they were made, and of several of one second the one that lists show first. */
function newestOf(store: Store, customer: string): string | null {
  const newest = SOURCES.flatMap((object) => {
    const last = store.childrenOf(object, 'customer', customer).items.at(-1);
    return last === undefined ? [] : [last];
  }).sort((a, b) => b.created - a.created || b.tie - a.tie)[0];
  return newest?.id ?? null;
}
