/**
 * What Stripe has: its objects, how each is listed and retrieved, and what its rows are keyed by. A typed view of
 * `data/catalog.json` and `data/columns.json`, read once and on first use; a test checks both files against
 * this type, so nothing is validated at run time. How to renew them: docs/catalog.md.
 */
import { readFileSync } from 'node:fs';
import { suggestionsFor } from './similar-names.js';
import { tableNameOf } from './table-name.js';

/** One of Stripe's object types. Paths begin with `/v1/` and may hold parameters (`{customer}`). */
export interface CatalogObject {
  /** Stripe's `object` value: `customer`, `checkout.session`. */
  readonly object: string;
  readonly idPrefix: string | null;
  readonly listPath: string | null;
  readonly retrievePath: string | null;
  readonly otherRetrievePaths: readonly string[];
  readonly otherListPaths: readonly string[];
  readonly singleton: boolean;
  /** Whether the list takes `created[gte]` and its kin. */
  readonly createdFilter: boolean;
  readonly endingBefore: boolean;
  readonly startingAfter: boolean;
  /** Query parameters without which the list answers 400. */
  readonly requiredQuery: readonly string[];
  readonly eventPrefixes: readonly string[];
  readonly eventTypes: readonly string[];
  readonly eventCoverage: { readonly created: boolean; readonly updated: boolean; readonly deleted: boolean };
  readonly deletedEvents: readonly string[];
  readonly deletable: boolean;
  readonly deletePath?: string;
  /** Whether retrieving a deleted object answers `{ id, deleted: true }` instead of 404. */
  readonly retrieveMayReturnDeleted: boolean;
  /** Top-level fields in seconds since the epoch; null where the OpenAPI document lacks the object. */
  readonly timestampFields: readonly string[] | null;
  readonly embeddedLists: readonly EmbeddedList[];
  readonly parent?: ParentParameters;
  readonly parents?: readonly { readonly object: string | null; readonly listPath: string }[];
  readonly rakPermission?: string;
  readonly searchPath?: string;
  readonly testClockExcluded?: boolean;
  readonly listFilterNote?: ListFilterNote;
  readonly inSpec: boolean;
  readonly inSdk?: boolean;
}

/** A list inside the object, cut at about ten items: `field` of objects of the types `item`. */
export interface EmbeddedList {
  readonly field: string;
  readonly item: readonly (string | null)[];
  readonly alwaysPresent: boolean;
  readonly url: string | null;
}

/** What the list of a sub-resource needs from the object above it. */
export interface ParentParameters {
  readonly object: string | null;
  readonly pathParams: readonly string[];
  readonly queryParams: readonly string[];
}

/** Why a list without parameters is not a full listing, and the query or queries that make it one. */
export interface ListFilterNote {
  readonly passes?: readonly ListQuery[];
  readonly query?: ListQuery;
  readonly why: string;
}

export type ListQuery = Readonly<Record<string, string>>;

/** An object with a top-level list, and the queries that together list all of it (one or more). */
export interface ListableObject extends CatalogObject {
  readonly listPath: string;
  readonly passes: readonly ListQuery[];
}

export type ColumnType = 'text' | 'bigint' | 'numeric' | 'boolean' | 'timestamptz';

/** A typed column of an object table: `name` in PostgreSQL, generated from `data->field`. */
export interface ScalarColumn {
  readonly name: string;
  readonly field: string;
  readonly type: ColumnType;
}

/** What a row of the object consists of; `from` says which file the facts were read from. */
export interface ObjectShape {
  readonly from: string;
  /** Empty where nothing identifies an object. */
  readonly keyFields: readonly string[];
  readonly columns: readonly ScalarColumn[];
}

interface Catalog {
  readonly objects: ReadonlyMap<string, CatalogObject>;
  readonly shapes: ReadonlyMap<string, ObjectShape>;
  readonly tables: ReadonlyMap<string, CatalogObject>;
}

let loaded: Catalog | undefined;

function catalog(): Catalog {
  loaded ??= load();
  return loaded;
}

function load(): Catalog {
  const read = (file: string): unknown =>
    JSON.parse(readFileSync(new URL(`./data/${file}`, import.meta.url), 'utf8'));
  const objects = read('catalog.json') as CatalogObject[];
  const { objects: shapes } = read('columns.json') as { objects: Record<string, ObjectShape> };
  return {
    objects: new Map(objects.map((entry) => [entry.object, entry])),
    shapes: new Map(Object.entries(shapes)),
    tables: new Map(objects.map((entry) => [tableNameOf(entry), entry])),
  };
}

/** All 139 objects, in the order of the catalog. */
export function catalogObjects(): CatalogObject[] {
  return [...catalog().objects.values()];
}

/** The object that Stripe calls so (`checkout.session`), or undefined where the catalog has none. */
export function objectNamed(name: string): CatalogObject | undefined {
  return catalog().objects.get(name);
}

/** The table of an object, without its schema: `checkout_sessions`. Throws on an object unknown to the catalog. */
export function tableOf(object: string | CatalogObject): string {
  return tableNameOf(typeof object === 'string' ? known(object) : object);
}

/**
 * The fields that identify an object within an account of ours, their values joined by `:`. `['id']` for nearly all.
 * A capability's id (`card_payments`) every connected account has: `['account', 'id']`. What has no id goes by
 * what there is one of: the account's balance by its own name (`['object']`), a cash balance by its customer. Empty
 * where nothing identifies an object, so that none can be stored.
 */
export function entityKeyFields(object: string): readonly string[] {
  return shapeOf(object).keyFields;
}

/** The typed columns of an object's table. Throws on an object unknown to the catalog. */
export function columnsOf(object: string): readonly ScalarColumn[] {
  return shapeOf(object).columns;
}

/** Every object that gets a table: it has a key, and an event or a list. Not `event`, which is the ledger's. */
export function syncedObjects(): CatalogObject[] {
  return catalogObjects().filter(isSynced);
}

/** The synced objects that one walk of a top-level list finds, without knowing a parent. */
export function listableObjects(): ListableObject[] {
  return syncedObjects().flatMap((entry) => {
    const { listPath } = entry;
    if (listPath === null || listPath.includes('{') || entry.requiredQuery.length > 0) return [];
    return [{ ...entry, listPath, passes: listPasses(entry) }];
  });
}

/** The names given are neither objects nor tables that are synced. `message` lists them with similar names. */
export class UnknownTypesError extends Error {
  override readonly name = 'UnknownTypesError';
  constructor(
    message: string,
    readonly unknown: readonly string[],
  ) {
    super(message);
  }
}

/**
 * The objects that `names` mean, each once, in the order given; object names (`checkout.session`) and table
 * names (`checkout_sessions`) alike. Throws `UnknownTypesError` where a name is unknown or never stored.
 */
export function resolveTypes(names: readonly string[]): CatalogObject[] {
  const found = new Set<CatalogObject>();
  const problems: string[] = [];
  const unknown: string[] = [];
  for (const name of names) {
    const entry = objectNamed(name) ?? catalog().tables.get(name);
    if (entry && isSynced(entry)) {
      found.add(entry);
      continue;
    }
    unknown.push(name);
    problems.push(entry ? `${name} (${reasonNotSynced(entry)})` : `${name}${didYouMean(name)}`);
  }
  if (problems.length > 0) throw new UnknownTypesError(`Unknown types: ${problems.join(', ')}.`, unknown);
  return [...found];
}

function isSynced(entry: CatalogObject): boolean {
  const reachable = entry.eventTypes.length > 0 || entry.listPath !== null;
  return entry.object !== 'event' && reachable && entityKeyFields(entry.object).length > 0;
}

function reasonNotSynced({ object }: CatalogObject): string {
  if (object === 'event') return 'events are kept in stripe_sync.events';
  return entityKeyFields(object).length > 0
    ? 'Stripe neither lists it nor reports its changes'
    : 'nothing in it identifies it';
}

function didYouMean(name: string): string {
  const candidates = syncedObjects().flatMap((entry) => [entry.object, tableNameOf(entry)]);
  const similar = suggestionsFor(name, candidates);
  return similar.length > 0 ? ` (did you mean ${similar.join(' or ')}?)` : '';
}

function listPasses({ listFilterNote }: CatalogObject): readonly ListQuery[] {
  return listFilterNote?.passes ?? [listFilterNote?.query ?? {}];
}

function known(object: string): CatalogObject {
  const entry = objectNamed(object);
  if (!entry) throw new Error(`The catalog has no object "${object}".`);
  return entry;
}

function shapeOf(object: string): ObjectShape {
  const shape = catalog().shapes.get(object);
  if (!shape) throw new Error(`The catalog has no object "${object}".`);
  return shape;
}
