/**
 * The objects of the simulated account. An object's state is never changed in place: a change replaces it, so that an
 * event that holds an older state keeps it, and its JSON is made once per state.
 */
import { tieOf } from './ids.js';
import type { JsonObject } from './json.js';
import { parentId } from './parents.js';
import type { Random } from './random.js';
import { createTimeline, type Timeline } from './timeline.js';

export interface Entry {
  readonly object: string;
  readonly id: string;
  /** The place in lists: `created` where the object has one, and the moment it was made where not. */
  readonly created: number;
  readonly tie: number;
  readonly data: JsonObject;
  /** What goes over the wire. */
  readonly json: string;
  readonly deleted: boolean;
  /** Inline prices exist and can be retrieved, and no list ever shows them. */
  readonly listed: boolean;
  /** Parents that the object itself does not name: object name to id. */
  readonly parents?: Readonly<Record<string, string>>;
}

export interface EntryFields {
  readonly object: string;
  readonly id: string;
  readonly created: number;
  readonly json: string;
  readonly listed?: boolean;
  readonly deleted?: boolean;
  readonly parents?: Readonly<Record<string, string>>;
}

export function makeEntry(fields: EntryFields): Entry {
  return {
    object: fields.object,
    id: fields.id,
    created: fields.created,
    tie: tieOf(fields.id),
    json: fields.json,
    data: JSON.parse(fields.json) as JsonObject,
    listed: fields.listed ?? true,
    deleted: fields.deleted ?? false,
    ...(fields.parents === undefined ? {} : { parents: fields.parents }),
  };
}

interface Kind {
  readonly entries: Map<string, Entry>;
  readonly timeline: Timeline<Entry>;
  /** Living objects in the order of their making, so that a random pick never depends on the clock. */
  readonly living: string[];
  readonly slots: Map<string, number>;
  /** Parent object name → parent id → children. */
  readonly children: Map<string, Map<string, Timeline<Entry>>>;
}

const empty = createTimeline<Entry>();

export interface Store {
  get(object: string, id: string): Entry | undefined;
  /** The entry unless it is deleted. */
  alive(object: string, id: string): Entry | undefined;
  /** Adds an object, or replaces its state. */
  put(entry: Entry): void;
  putMany(entries: readonly Entry[]): void;
  list(object: string): Timeline<Entry>;
  childrenOf(object: string, parentObject: string, parentId: string): Timeline<Entry>;
  pick(object: string, random: Random): Entry | undefined;
  count(object: string): number;
  objects(): Iterable<string>;
  all(object: string): Iterable<Entry>;
}

/** `parentsOf` names, for each object, the parents by which it can be listed or embedded. */
export function createStore(parentsOf: (object: string) => readonly string[]): Store {
  const kinds = new Map<string, Kind>();

  const kindOf = (object: string): Kind => {
    let kind = kinds.get(object);
    if (kind === undefined) {
      kind = {
        entries: new Map(),
        timeline: createTimeline(),
        living: [],
        slots: new Map(),
        children: new Map(parentsOf(object).map((parent) => [parent, new Map()])),
      };
      kinds.set(object, kind);
    }
    return kind;
  };

  const isListed = (entry: Entry | undefined): entry is Entry => entry?.listed === true && !entry.deleted;

  const index = (kind: Kind, before: Entry | undefined, after: Entry): void => {
    if (isListed(before)) kind.timeline.remove(before);
    if (isListed(after)) kind.timeline.add(after);
    for (const [parentObject, byParent] of kind.children) {
      const old = isListed(before) ? parentId(before.data, before.parents, parentObject) : undefined;
      if (before !== undefined && old !== undefined) byParent.get(old)?.remove(before);
      const current = isListed(after) ? parentId(after.data, after.parents, parentObject) : undefined;
      if (current === undefined) continue;
      let siblings = byParent.get(current);
      if (siblings === undefined) {
        siblings = createTimeline();
        byParent.set(current, siblings);
      }
      siblings.add(after);
    }
    const slot = kind.slots.get(after.id);
    if (!after.deleted && slot === undefined) {
      kind.slots.set(after.id, kind.living.push(after.id) - 1);
    } else if (after.deleted && slot !== undefined) {
      const last = kind.living.pop() as string;
      if (last !== after.id) {
        kind.living[slot] = last;
        kind.slots.set(last, slot);
      }
      kind.slots.delete(after.id);
    }
  };

  const store: Store = {
    get: (object, id) => kinds.get(object)?.entries.get(id),
    alive(object, id) {
      const entry = store.get(object, id);
      return entry?.deleted === false ? entry : undefined;
    },
    put(entry) {
      const kind = kindOf(entry.object);
      const before = kind.entries.get(entry.id);
      kind.entries.set(entry.id, entry);
      index(kind, before, entry);
    },
    putMany(entries) {
      // Oldest first, so that each lands at the end of its list and none shifts the others.
      for (const entry of [...entries].sort((a, b) => a.created - b.created || a.tie - b.tie))
        store.put(entry);
    },
    list: (object) => kinds.get(object)?.timeline ?? empty,
    childrenOf: (object, parentObject, id) => kinds.get(object)?.children.get(parentObject)?.get(id) ?? empty,
    pick(object, random) {
      const kind = kinds.get(object);
      if (kind === undefined || kind.living.length === 0) return undefined;
      return kind.entries.get(random.pick(kind.living));
    },
    count: (object) => kinds.get(object)?.living.length ?? 0,
    objects: () => kinds.keys(),
    all: (object) => kinds.get(object)?.entries.values() ?? [],
  };
  return store;
}
