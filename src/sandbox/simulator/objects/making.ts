/** What an object is made from, and what its maker hands back. */
import type { JsonObject, JsonValue } from '../json.js';
import type { Random } from '../random.js';
import type { Entry } from '../store.js';

export interface Making {
  readonly random: Random;
  readonly id: string;
  /** Whole seconds of the simulator's clock. */
  readonly created: number;
  /** What the caller asked for. It is laid over the draft; a maker looks at it for what depends on it. */
  readonly fields: JsonObject;
  /** How many items the embedded list is to have; the maker's choice when missing. */
  readonly items?: number;
  /** The parent that the caller named, for objects that do not name it themselves. */
  readonly parents: Readonly<Record<string, string>>;
  newId(object: string): string;
  /** A living object, or a new one. */
  need(object: string): Entry;
  find(object: string, id: JsonValue | undefined): Entry | undefined;
}

export interface Draft {
  readonly data: JsonObject;
  /** Items of the embedded list, which are objects of their own. */
  readonly children?: readonly { readonly object: string; readonly data: JsonObject }[];
  /** Parents that the object does not name. */
  readonly parents?: Readonly<Record<string, string>>;
  readonly listed?: boolean;
}

export type Maker = (making: Making) => Draft;

/** The object that a field names, or one at random. */
export function needOf(making: Making, field: string, object: string): Entry {
  return making.find(object, making.fields[field]) ?? making.need(object);
}

export function textField(making: Making, field: string, otherwise: string): string {
  const value = making.fields[field];
  return typeof value === 'string' ? value : otherwise;
}

export function numberField(making: Making, field: string, otherwise: number): number {
  const value = making.fields[field];
  return typeof value === 'number' ? value : otherwise;
}
