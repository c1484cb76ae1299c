/**
 * What Stripe has: its objects and event types, from the data files that stand beside the client. Only the data is
 * shared; how it is served is this simulator's own reading of Stripe's documentation.
 */
import { readFileSync } from 'node:fs';

export interface CatalogObject {
  readonly object: string;
  readonly idPrefix: string | null;
  readonly listPath: string | null;
  readonly retrievePath: string | null;
  readonly otherRetrievePaths: readonly string[];
  readonly otherListPaths: readonly string[];
  readonly singleton: boolean;
  readonly createdFilter: boolean;
  readonly endingBefore: boolean;
  readonly startingAfter: boolean;
  readonly requiredQuery: readonly string[];
  readonly parent?: {
    readonly object: string | null;
    readonly pathParams: readonly string[];
    readonly queryParams: readonly string[];
  };
  readonly eventPrefixes: readonly string[];
  readonly eventTypes: readonly string[];
  readonly rakPermission?: string;
  readonly deletedEvents: readonly string[];
  readonly deletable: boolean;
  readonly retrieveMayReturnDeleted: boolean;
  readonly testClockExcluded?: boolean;
  readonly timestampFields: readonly string[] | null;
}

export interface CatalogEventType {
  readonly type: string;
  readonly objects: readonly string[];
  readonly deleted: boolean;
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../stripe/data/${name}`, import.meta.url), 'utf8'));

const objects = read('catalog.json') as CatalogObject[];
const eventsFile = read('events.json') as { apiVersion: string; events: CatalogEventType[] };

/** The API version of an account that never chose one. */
export const latestApiVersion = eventsFile.apiVersion;

export const catalog: ReadonlyMap<string, CatalogObject> = new Map(
  objects.map((entry) => [entry.object, entry]),
);

export const eventTypes: ReadonlyMap<string, CatalogEventType> = new Map(
  eventsFile.events.map((entry) => [entry.type, entry]),
);

export function catalogObject(object: string): CatalogObject {
  const found = catalog.get(object);
  if (found === undefined) throw new Error(`Stripe's catalog has no object "${object}".`);
  return found;
}

/** The object whose retrieve path begins with a collection's path, such as `customer` for `/v1/customers`. */
export function ownerOfCollection(path: string): string | undefined {
  for (const entry of objects) {
    const retrieve = entry.retrievePath;
    if (retrieve !== null && retrieve.slice(0, retrieve.lastIndexOf('/')) === path) return entry.object;
  }
  return undefined;
}
