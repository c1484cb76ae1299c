/** What a mirror of the account has to look like. */
import { cutList } from './embedded-lists.js';
import type { SimulatedEvent } from './event-log.js';
import type { JsonObject } from './json.js';
import type { Entry, Store } from './store.js';

export interface TrueObject {
  /** The object as Stripe serves it; for a deleted one, as it was last. */
  readonly data: Readonly<JsonObject>;
  readonly deleted: boolean;
  /** All items of an embedded list that Stripe cuts short, under the name of its field. */
  readonly complete?: Readonly<Record<string, readonly JsonObject[]>>;
}

/** Object name → id → state, deleted objects included. Singletons such as `balance` stand under their own name. */
export type Truth = ReadonlyMap<string, ReadonlyMap<string, TrueObject>>;

export interface TrueEvent {
  readonly id: string;
  readonly type: string;
  readonly object: string;
  readonly objectId?: string;
  /** Whole seconds of the simulator's clock. */
  readonly created: number;
  /** Seconds with a fraction: when the change was made, and from when on `/v1/events` shows the event. */
  readonly changedAt: number;
  readonly visibleAt: number;
  /** The order in which the changes were made, which `created` does not tell within one second. */
  readonly sequence: number;
}

export function trueObject(store: Store, entry: Entry): TrueObject {
  const cut = entry.deleted ? undefined : cutList(store, entry);
  return {
    data: entry.data,
    deleted: entry.deleted,
    ...(cut === undefined ? {} : { complete: { [cut.field]: cut.items } }),
  };
}

export function readTruth(store: Store): Truth {
  const truth = new Map<string, Map<string, TrueObject>>();
  for (const object of store.objects()) {
    const objects = new Map<string, TrueObject>();
    for (const entry of store.all(object)) objects.set(entry.id, trueObject(store, entry));
    if (objects.size > 0) truth.set(object, objects);
  }
  return truth;
}

export function trueEvent(event: SimulatedEvent): TrueEvent {
  const { json: _json, tie: _tie, ...facts } = event;
  return facts;
}
