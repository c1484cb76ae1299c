/**
 * Stripe's snapshot event types: which objects they carry and how those can be read again. A typed view of
 * `data/events.json`, read once and on first use (docs/catalog.md).
 */
import { readFileSync } from 'node:fs';

/** How the object of an event can be fetched: by its id alone, with its parent's id, as a singleton, or never. */
export type RetrieveKind =
  | 'by-id'
  | 'needs-parent-id'
  | 'singleton'
  | 'none'
  | 'none (preview invoice has no id)';

export interface EventType {
  /** `customer.subscription.updated` */
  readonly type: string;
  readonly tsType: string;
  /** The `object` values that `data.object` may have; several for a customer's sources. */
  readonly objects: readonly string[];
  /** Whether the name ends in `deleted`. Of a subscription that means canceled: the object lives on. */
  readonly deleted: boolean;
  readonly retrievePath: string | null;
  readonly retrieveKind: RetrieveKind;
  readonly listPath: string | null;
}

interface EventCatalog {
  readonly sdkVersion: string;
  readonly apiVersion: string;
  readonly events: readonly EventType[];
}

let loaded: { readonly catalog: EventCatalog; readonly byType: ReadonlyMap<string, EventType> } | undefined;

function eventCatalog() {
  if (!loaded) {
    const text = readFileSync(new URL('./data/events.json', import.meta.url), 'utf8');
    const catalog = JSON.parse(text) as EventCatalog;
    loaded = { catalog, byType: new Map(catalog.events.map((event) => [event.type, event])) };
  }
  return loaded;
}

/** Every snapshot event type of the catalog, by name. */
export function eventTypes(): readonly EventType[] {
  return eventCatalog().catalog.events;
}

/** The event type of this name, or undefined: Stripe adds types at any time. */
export function eventTypeNamed(type: string): EventType | undefined {
  return eventCatalog().byType.get(type);
}

/** The API version that the catalog was generated from: `2026-10-28.endive`. */
export function catalogApiVersion(): string {
  return eventCatalog().catalog.apiVersion;
}
