import { type Hydration, isUsable } from '../src/domain/hydrate.js';
import { parseExactly } from '../src/domain/previous-attributes.js';
import { type EntityChange, type PlannedChange, planTogether } from '../src/domain/set-plan.js';
import { isEvent } from '../src/postgres/insert-event-page.js';
import { entityKeyOf } from '../src/postgres/upsert-page.js';
import { entityKeyFields, tableOf } from '../src/stripe/catalog.js';
import { storedObjects } from '../src/stripe/stored-objects.js';
import { kindOf, traitsWith } from './entity-traits.js';

/** An event as text, and as JavaScript parsed it. */
export interface ReadEvent {
  readonly text: string;
  readonly entry: unknown;
}

/** Changes of one type that can be applied together. */
export interface PlannedType {
  readonly object: string;
  readonly table: string;
  readonly recreatable: boolean;
  readonly planned: readonly PlannedChange[];
  /** The events' texts, in the order of `planned`. */
  readonly texts: readonly string[];
}

export interface PlannedEvents {
  readonly types: readonly PlannedType[];
  /** Texts of all others: they go into the ledger, and wait there for their entity where they have one. */
  readonly others: readonly string[];
}

export interface PlanOptions extends Hydration {
  /** Whether an event of this type has a handler: then its entity runs it. */
  readonly wants: (type: string) => boolean;
}

/** What a Stripe event holds of what matters here. */
interface EventEntry {
  readonly id: string;
  readonly created: number;
  readonly type: string;
  readonly api_version?: unknown;
  readonly data: {
    readonly object: Readonly<Record<string, unknown>>;
    readonly previous_attributes?: unknown;
  };
}

const stored = new Set<string>();
/** Of an embedded list that is cut: such a state is not all of the object. */
const CUT = /"has_more"\s*:\s*true/;

/** Sorts events by what can be done with them together. An event that comes twice counts once. */
export function planEvents(events: readonly ReadEvent[], options: PlanOptions): PlannedEvents {
  const byObject = new Map<string, Map<string, { readonly change: EntityChange; readonly text: string }>>();
  const others: string[] = [];
  const handled = new Set<string>();
  for (const { text, entry } of events) {
    const event = isRoutable(entry) ? entry : null;
    const object = event === null ? '' : String(event.data.object.object);
    const key = event === null ? null : keyOf(event.data.object, object);
    if (event === null || key === null) {
      others.push(text);
      continue;
    }
    if (options.wants(event.type)) handled.add(`${object}/${key}`);
    const changes = byObject.get(object) ?? new Map();
    byObject.set(object, changes);
    changes.set(event.id, { change: changeOf(event, object, key, text, options), text });
  }
  const types: PlannedType[] = [];
  for (const object of [...byObject.keys()].sort()) {
    const changes = byObject.get(object) ?? new Map();
    const open = [...changes.values()].filter(({ change }) => !handled.has(`${object}/${change.key}`));
    const traits = traitsWith(object, options.hydrate);
    const planned = planTogether(
      open.map(({ change }) => change),
      traits,
    );
    const isPlanned = new Set(planned.map(({ id }) => id));
    for (const [id, { text }] of changes) if (!isPlanned.has(id)) others.push(text);
    if (planned.length === 0) continue;
    const texts = planned.map(({ id }) => changes.get(id)?.text ?? '');
    types.push({ object, table: tableOf(object), recreatable: traits.recreatable, planned, texts });
  }
  return { types, others };
}

/** Whether it is a change of an object that has a table. What is odd about the others, the inbox finds out. */
function isRoutable(entry: unknown): entry is EventEntry {
  if (!isEvent(entry)) return false;
  const { type, data } = entry as { readonly type?: unknown; readonly data?: { readonly object?: unknown } };
  const object: unknown = data?.object;
  if (typeof type !== 'string' || typeof object !== 'object' || object === null) return false;
  if (stored.size === 0) for (const name of storedObjects()) stored.add(name);
  return stored.has(String((object as { readonly object?: unknown }).object));
}

function keyOf(state: Readonly<Record<string, unknown>>, object: string): string | null {
  const fields = entityKeyFields(object);
  return fields.length === 0 ? null : entityKeyOf(state, fields);
}

function changeOf(
  event: EventEntry,
  object: string,
  key: string,
  text: string,
  options: PlanOptions,
): EntityChange {
  const apiVersion = typeof event.api_version === 'string' ? event.api_version : null;
  return {
    id: event.id,
    key,
    created: event.created,
    kind: kindOf(event.type, object),
    usable: isUsable(options, { partial: CUT.test(text), apiVersion }),
    evidence() {
      if (parseExactly(text) === null) return null;
      const { object: state, previous_attributes: previous } = event.data;
      return {
        apiVersion,
        digest: canonical(state),
        state: JSON.stringify(state),
        previousAttributes: previous === undefined ? null : JSON.stringify(previous),
      };
    },
  };
}

/** The value as text, its keys sorted. Numbers are equal as JavaScript sees them: what it rounds is not compared. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
