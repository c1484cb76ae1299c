/** What a business flow can do to the account. */
import type { ChangeOptions, Changes, CreateOptions } from '../changes.js';
import type { JsonObject } from '../json.js';
import type { Random } from '../random.js';
import type { Entry, Store } from '../store.js';

export interface World {
  readonly random: Random;
  /** Makes an object and returns its id. */
  create(object: string, fields?: JsonObject, options?: CreateOptions): string;
  /** Changes an object; false when another flow has deleted it meanwhile. */
  edit(object: string, id: string, fields: JsonObject, options?: ChangeOptions): boolean;
  /** Deletes an object (or cancels a subscription) unless that has happened already. */
  remove(object: string, id: string): boolean;
  emit(type: string, object: string, id?: string): void;
  /** A living object at random that passes the test, if one is found in a few draws. */
  pick(object: string, accept?: (entry: Entry) => boolean): Entry | undefined;
  alive(object: string, id: string): Entry | undefined;
}

/** A sequence of changes; at each yield other flows may come in between, and time may pass. */
export type Flow = Generator<void, void, void>;

const DRAWS = 8;

export function createWorld(store: Store, changes: Changes, random: Random): World {
  return {
    random,
    create: (object, fields = {}, options = {}) => String(changes.create(object, fields, options).id),
    edit(object, id, fields, options = {}) {
      if (store.alive(object, id) === undefined) return false;
      changes.update(object, id, fields, options);
      return true;
    },
    remove(object, id) {
      const entry = store.alive(object, id);
      if (entry === undefined || (object === 'subscription' && entry.data.status === 'canceled'))
        return false;
      changes.remove(object, id);
      return true;
    },
    emit: (type, object, id) => void changes.emit(type, object, id),
    pick(object, accept = () => true) {
      for (let draw = 0; draw < DRAWS; draw += 1) {
        const entry = store.pick(object, random);
        if (entry === undefined) return undefined;
        if (accept(entry)) return entry;
      }
      return undefined;
    },
    alive: (object, id) => store.alive(object, id),
  };
}
