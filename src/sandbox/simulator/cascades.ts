/** What goes with an object when it is deleted. */
import { catalog } from './catalog.js';
import { embeddedListOf } from './embedded-lists.js';
import { listParents } from './routes.js';
import type { Entry, Store } from './store.js';

export interface Casualty {
  /** With events of its own (`cancel`, `detach`, `remove`), or without any (`vanish`). */
  readonly kind: 'cancel' | 'detach' | 'remove' | 'vanish';
  readonly entry: Entry;
}

const WITH_EVENTS = ['bank_account', 'card', 'source', 'tax_id', 'discount'];

/** Objects that are reached through a parent's path only, by that parent. */
const NESTED = new Map<string, string[]>();
for (const entry of catalog.values()) {
  const nested = entry.retrievePath === null || entry.retrievePath.split('{').length > 2;
  if (!nested) continue;
  for (const parent of listParents(entry.object))
    NESTED.set(parent, [...(NESTED.get(parent) ?? []), entry.object]);
}

export function* cascadeOf(store: Store, parent: Entry): Generator<Casualty> {
  const children = (object: string): Entry[] => [...store.childrenOf(object, parent.object, parent.id).items];
  const seen = new Set<string>();
  if (parent.object === 'customer') {
    for (const entry of children('subscription'))
      if (entry.data.status !== 'canceled') yield { kind: 'cancel', entry };
    for (const entry of children('payment_method')) yield { kind: 'detach', entry };
    for (const object of WITH_EVENTS) {
      seen.add(object);
      for (const entry of children(object)) yield { kind: 'remove', entry };
    }
  }
  const embedded = embeddedListOf(parent.object)?.item;
  for (const object of [
    ...(NESTED.get(parent.object) ?? []),
    ...(embedded === undefined ? [] : [embedded]),
  ]) {
    if (seen.has(object)) continue;
    seen.add(object);
    for (const entry of children(object)) yield { kind: 'vanish', entry };
  }
}
