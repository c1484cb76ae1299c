import { isDeepStrictEqual } from 'node:util';
import { escapeIdentifier, type Pool } from 'pg';
import { entityKeyFields, listableObjects, syncedObjects, tableOf } from '../stripe/catalog.js';
import { listingOf } from '../stripe/listings.js';
import { storableJson } from '../stripe/storable-json.js';

/** What Stripe has, as the simulator tells it: object name, then id, then state. */
export type TrueObjects = ReadonlyMap<string, ReadonlyMap<string, TrueState>>;

interface TrueState {
  readonly data: Readonly<State>;
  readonly deleted: boolean;
  /** All items of an embedded list that Stripe cuts short, under the name of its field. */
  readonly complete?: Readonly<Record<string, readonly unknown[]>>;
}

export interface Difference {
  readonly object: string;
  readonly id: string;
  readonly kind: 'missing' | 'extra' | 'differs' | 'not a tombstone' | 'a tombstone';
  /** Top-level keys whose values differ. */
  readonly keys?: readonly string[];
}

export interface Comparison {
  /** Rows that were compared with a living object. */
  readonly equal: number;
  readonly tombstones: number;
  readonly differences: readonly Difference[];
  /** Objects that neither a list nor an event nor another object ever showed, by type: nobody can know of them. */
  readonly invisible: Readonly<Record<string, number>>;
}

/**
 * Compares every object table of an account with the truth.
 *
 * @param announced keys (`object/id`) of all objects that an event ever carried; an object without a list of
 *   its own can only be known by one
 */
export async function compareTruth(
  pool: Pool,
  account: string,
  truth: TrueObjects,
  announced: ReadonlySet<string>,
): Promise<Comparison> {
  const listable = new Set(listableObjects().map((entry) => entry.object));
  const differences: Difference[] = [];
  const invisible: Record<string, number> = {};
  let equal = 0;
  let tombstones = 0;
  for (const { object } of syncedObjects()) {
    const listing = listingOf(object);
    const rows = await readRows(pool, account, tableOf(object), listing.how === 'embedded');
    if (listing.how === 'embedded') {
      const compared = compareEmbedded(rows, truth, { object, ...listing });
      equal += compared.equal;
      tombstones += compared.tombstones;
      differences.push(...compared.differences);
      if (compared.invisible > 0) invisible[object] = compared.invisible;
      continue;
    }
    for (const [id, known] of truth.get(object) ?? []) {
      const key = keyOf(object, id, known.data);
      const row = rows.get(key);
      rows.delete(key);
      if (row === undefined) {
        const visible = announced.has(`${object}/${id}`) || (listable.has(object) && !known.deleted);
        if (visible) differences.push({ object, id, kind: 'missing' });
        else invisible[object] = (invisible[object] ?? 0) + 1;
      } else if (known.deleted !== row.deleted) {
        differences.push({ object, id, kind: known.deleted ? 'not a tombstone' : 'a tombstone' });
      } else if (known.deleted) {
        tombstones += 1;
      } else {
        const keys = differingKeys(stored(wholeState(known)), row.data);
        if (keys.length === 0) equal += 1;
        else differences.push({ object, id, kind: 'differs', keys });
      }
    }
    for (const id of rows.keys()) differences.push({ object, id, kind: 'extra' });
  }
  return { equal, tombstones, differences, invisible };
}

type State = Record<string, unknown>;

interface Row {
  readonly id: string;
  readonly data: State;
  readonly deleted: boolean;
  /** Of what is embedded: the object that it is in. */
  readonly parent_id?: string;
}

async function readRows(
  pool: Pool,
  account: string,
  table: string,
  isEmbedded: boolean,
): Promise<Map<string, Row>> {
  const { rows } = await pool.query<Row>(
    `select id, data, deleted${isEmbedded ? ', parent_id' : ''} from stripe.${escapeIdentifier(table)}
     where account = $1`,
    [account],
  );
  return new Map(rows.map((row) => [row.id, row]));
}

/**
 * Compares the rows of a type that only the objects of another type show: a row for each item that a living one
 * shows, with the item as its data, and none but tombstones besides.
 */
function compareEmbedded(
  rows: Map<string, Row>,
  truth: TrueObjects,
  { object, parent, field }: { object: string; parent: string; field: string },
): Omit<Comparison, 'invisible'> & { readonly invisible: number } {
  const differences: Difference[] = [];
  const unseen = new Map(truth.get(object));
  let equal = 0;
  let tombstones = 0;
  for (const [parentId, known] of truth.get(parent) ?? []) {
    if (known.deleted) continue;
    for (const item of itemsOf(wholeState(known)[field])) {
      const row = rows.get(item.id);
      rows.delete(item.id);
      unseen.delete(item.id);
      if (row === undefined) differences.push({ object, id: item.id, kind: 'missing' });
      else if (row.deleted) differences.push({ object, id: item.id, kind: 'a tombstone' });
      else {
        const keys = differingKeys(stored(item), row.data);
        if (row.parent_id !== parentId) keys.push('parent_id');
        if (keys.length === 0) equal += 1;
        else differences.push({ object, id: item.id, kind: 'differs', keys });
      }
    }
  }
  for (const { id, deleted } of rows.values()) {
    const known = unseen.get(id);
    unseen.delete(id);
    if (known === undefined) differences.push({ object, id, kind: 'extra' });
    else if (!deleted) differences.push({ object, id, kind: 'not a tombstone' });
    else if (!known.deleted) differences.push({ object, id, kind: 'a tombstone' });
    else tombstones += 1;
  }
  return { equal, tombstones, differences, invisible: unseen.size };
}

function itemsOf(list: unknown): readonly (State & { readonly id: string })[] {
  return (list as { readonly data?: readonly (State & { readonly id: string })[] } | null)?.data ?? [];
}

/** The state as PostgreSQL holds it. */
function stored(state: State): State {
  return JSON.parse(storableJson(JSON.stringify(state))) as State;
}

function keyOf(object: string, id: string, data: Readonly<State>): string {
  const fields = entityKeyFields(object);
  return fields.length > 1 ? fields.map((field) => String(data[field])).join(':') : id;
}

/** The object as a row has to hold it: with whole lists. */
function wholeState({ data, complete = {} }: TrueState): State {
  const lists = Object.entries(complete).map(([field, items]) => {
    const list = { ...(data[field] as State), data: items, has_more: false };
    return [field, list] as const;
  });
  return { ...data, ...Object.fromEntries(lists) };
}

function differingKeys(truth: State, row: State): string[] {
  const keys = new Set([...Object.keys(truth), ...Object.keys(row)]);
  return [...keys].filter((key) => !isDeepStrictEqual(truth[key], row[key]));
}
