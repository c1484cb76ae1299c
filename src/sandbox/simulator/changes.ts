/**
 * Everything that changes the account goes through here: an object's new state, what it takes along, and the events that
 * tell of it, made together and published together.
 */
import { type Announced, createAnnouncer } from './announce.js';
import { cascadeOf } from './cascades.js';
import { catalogObject } from './catalog.js';
import type { Clock } from './clock.js';
import { movedDefaults } from './default-source.js';
import { embeddedListOf, embeddingParents, renderEmbeddedList } from './embedded-lists.js';
import type { EventLog, SimulatedEvent } from './event-log.js';
import { announcing, checkEventType } from './event-types.js';
import { objectId } from './ids.js';
import type { Change } from './journal.js';
import { idOf, type JsonObject } from './json.js';
import { mergeUpdate } from './merge.js';
import { makeDraft } from './objects/index.js';
import type { Making } from './objects/making.js';
import { keptOfPrice, planOfPrice, priceOfPlan } from './objects/offers.js';
import { ONE_PER_CUSTOMER } from './objects/without-id.js';
import { parentId } from './parents.js';
import type { Random } from './random.js';
import { type Entry, makeEntry, type Store } from './store.js';
import type { VisibilityProfile } from './visibility.js';

export interface ChangeOptions {
  /** When it happens, in whole seconds of the simulator's clock: now, unless it is given. */
  readonly created?: number;
  /** When its events are listed, in seconds from now: drawn from the visibility profile, unless it is given. */
  readonly visibleAfterSeconds?: number;
  /** The version in which the events render the object: the account's, unless it is given. */
  readonly apiVersion?: string;
  /** False for a silent change; a type or several in place of the ones that Stripe would send. */
  readonly event?: false | string | readonly string[];
}

export interface CreateOptions extends ChangeOptions {
  /** How many items the embedded list has (subscription items, invoice lines …); Stripe embeds the first ten. */
  readonly items?: number;
  /** False for an object that no list shows, such as an inline price. */
  readonly listed?: boolean;
  /** The parent of an object that does not name it, such as a line item of a quote. */
  readonly parent?: { readonly object: string; readonly id: string };
}

export interface SeedOptions {
  /** The span over which `created` is spread, in whole seconds of the simulator's clock. */
  readonly from?: number;
  readonly to?: number;
  readonly fields?: JsonObject | ((index: number) => JsonObject);
  readonly items?: number;
  readonly parent?: { readonly object: string; readonly id: string };
}

export interface Changes {
  create(object: string, fields?: JsonObject, options?: CreateOptions): JsonObject;
  update(object: string, id: string, fields: JsonObject, options?: ChangeOptions): JsonObject;
  remove(object: string, id: string, options?: ChangeOptions): void;
  emit(type: string, object: string, id?: string, options?: ChangeOptions): SimulatedEvent;
  createMany(object: string, count: number, options?: SeedOptions): string[];
  setVisibility(profile: VisibilityProfile): void;
  /** How many changes have been made. */
  made(): number;
}

export interface ChangeContext {
  readonly store: Store;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly apiVersion: string;
  readonly accountMark: string;
  readonly embeddedItems: number;
  readonly visibility: VisibilityProfile;
  /** The number of the first event to be made. */
  readonly firstSequence: number;
  readonly randomOf: (label: string) => Random;
  /** Called once for each finished change: the one place from which the world outside learns of it. */
  readonly publish: (change: Change, announced: readonly Announced[]) => void;
}

const TWO_YEARS = 2 * 365 * 86_400;

export function createChanges(context: ChangeContext): Changes {
  const { store, events, clock } = context;
  const announcer = createAnnouncer(
    context.accountMark,
    context.visibility,
    context.firstSequence,
    context.randomOf,
  );
  const random = context.randomOf('objects');
  const startedAt = clock.seconds();
  let made = 0;

  let depth = 0;
  let now = 0;
  let silent = false;
  let entries: Entry[] = [];
  let announced: Announced[] = [];

  /** Runs one change with all that it takes along at one moment, and publishes it as a whole. */
  const atOnce = <T>(work: () => T): T => {
    if (depth === 0) now = clock.now();
    depth += 1;
    try {
      return work();
    } finally {
      depth -= 1;
      if (depth === 0 && (entries.length > 0 || announced.length > 0)) {
        const change = { entries, events: announced.map(({ event }) => event) };
        const told = announced;
        entries = [];
        announced = [];
        made += 1;
        context.publish(change, told);
      }
    }
  };

  const put = (entry: Entry): Entry => {
    store.put(entry);
    entries.push(entry);
    return entry;
  };

  const announce = (
    types: readonly string[],
    entry: { object: string; id?: string; data: JsonObject },
    options: ChangeOptions,
    before?: JsonObject,
  ): void => {
    if (silent || options.event === false) return;
    const chosen =
      options.event === undefined
        ? types
        : typeof options.event === 'string'
          ? [options.event]
          : options.event;
    for (const type of chosen) {
      checkEventType(type, entry.object);
      const one = announcer.announce({
        type,
        object: entry.object,
        ...(entry.id === undefined ? {} : { objectId: entry.id }),
        data: entry.data,
        ...(before === undefined ? {} : { before }),
        changedAt: options.created ?? now,
        now,
        ...(options.visibleAfterSeconds === undefined
          ? {}
          : { visibleAfterSeconds: options.visibleAfterSeconds }),
        apiVersion: options.apiVersion ?? context.apiVersion,
      });
      events.add(one.event);
      announced.push(one);
    }
  };

  const secondsOf = (options: ChangeOptions): number => options.created ?? Math.floor(now);
  /** What follows from a change happens with it; which events it sends is not the caller's choice. */
  const consequence = ({ event, ...options }: ChangeOptions): ChangeOptions =>
    event === false ? { ...options, event } : options;

  const need = (object: string, options: ChangeOptions): Entry => {
    const found = store.pick(object, random);
    if (found !== undefined) return found;
    const { id } = create(object, {}, consequence(options));
    return store.get(object, String(id)) as Entry;
  };

  /** A customer who is about to go gets no other default: what goes along is struck without this. */
  const moveDefaults = (before: Entry | undefined, after: Entry, options: ChangeOptions): void => {
    for (const { customer, source } of movedDefaults(store, before, after))
      update('customer', customer, { default_source: source }, consequence(options));
  };

  const draft = (object: string, id: string, fields: JsonObject, options: CreateOptions) => {
    const making: Making = {
      random,
      id,
      created: secondsOf(options),
      fields,
      ...(options.items === undefined ? {} : { items: options.items }),
      parents: options.parent === undefined ? {} : { [options.parent.object]: options.parent.id },
      newId: (other) => objectId(catalogObject(other), random, context.accountMark),
      need: (other) => need(other, options),
      find: (other, otherId) => (typeof otherId === 'string' ? store.alive(other, otherId) : undefined),
    };
    return makeDraft(object, making);
  };

  /** Renders the embedded list of an object anew, after its items have changed. */
  const withEmbeddedList = (object: string, id: string, data: JsonObject): JsonObject => {
    const list = embeddedListOf(object);
    const rendered = renderEmbeddedList(store, object, id, context.embeddedItems);
    return list === undefined || rendered === undefined ? data : { ...data, [list.field]: rendered };
  };

  const refreshParents = (child: Entry, options: ChangeOptions): void => {
    for (const object of embeddingParents(child.object)) {
      const id = parentId(child.data, child.parents, object);
      const parent = id === undefined ? undefined : store.alive(object, id);
      if (parent === undefined) continue;
      const after = put(remade(parent, withEmbeddedList(object, parent.id, parent.data)));
      announce(announcing('updated', object, after.data), after, consequence(options), parent.data);
    }
  };

  /** Whose the one of a customer is to be: the caller's choice, or anybody's. */
  const customerOf = (given: JsonObject, options: CreateOptions): string => {
    const { parent } = options;
    return idOf(given.customer) ?? (parent?.object === 'customer' ? parent.id : need('customer', options).id);
  };

  const create = (object: string, given: JsonObject = {}, options: CreateOptions = {}): JsonObject =>
    atOnce(() => {
      const customer = ONE_PER_CUSTOMER.has(object) ? customerOf(given, options) : undefined;
      const fields = customer === undefined ? given : { ...given, customer };
      const catalogued = catalogObject(object);
      const id = catalogued.singleton
        ? object
        : (customer ?? idOf(fields.id) ?? objectId(catalogued, random, context.accountMark));
      if (store.alive(object, id) !== undefined) throw new Error(`There is a ${object} ${id} already.`);
      const { data, children = [], parents, listed } = draft(object, id, fields, options);
      for (const child of children) {
        put(
          makeEntry({
            object: child.object,
            id: String(child.data.id),
            created: secondsOf(options),
            json: JSON.stringify(child.data),
            parents: { [object]: id },
          }),
        );
      }
      const named =
        options.parent === undefined ? parents : { ...parents, [options.parent.object]: options.parent.id };
      const full = withEmbeddedList(object, id, { ...data, ...fields });
      const entry = put(
        makeEntry({
          object,
          id,
          created: typeof full.created === 'number' ? full.created : secondsOf(options),
          json: JSON.stringify(full),
          listed: options.listed ?? listed ?? true,
          ...(named === undefined ? {} : { parents: named }),
        }),
      );
      mirror(entry, options);
      announce(announcing('created', object, entry.data), entry, options);
      refreshParents(entry, options);
      moveDefaults(undefined, entry, options);
      return entry.data;
    });

  /** A recurring price is a plan too, under the same id, and the other way round. */
  const mirror = (entry: Entry, options: ChangeOptions): void => {
    if (entry.object === 'price' && entry.data.recurring === null) return;
    if (entry.object !== 'price' && entry.object !== 'plan') return;
    const other = entry.object === 'price' ? 'plan' : 'price';
    const before = store.get(other, entry.id);
    const known = before?.deleted === false ? before : undefined;
    const data =
      other === 'plan'
        ? planOfPrice(entry.data)
        : { ...priceOfPlan(entry.data), ...keptOfPrice(known?.data) };
    const what = entry.deleted ? 'deleted' : known === undefined ? 'created' : 'updated';
    const after = makeEntry({ ...entry, object: other, json: JSON.stringify(data) });
    if (after.json === before?.json && after.deleted === before.deleted) return;
    put(after);
    announce(announcing(what, other, after.data), after, consequence(options), before?.data);
  };

  const living = (object: string, id: string): Entry => {
    const entry = store.alive(object, id);
    if (entry === undefined) throw new Error(`There is no ${object} ${id}, or it is deleted.`);
    return entry;
  };

  const update = (object: string, id: string, fields: JsonObject, options: ChangeOptions = {}): JsonObject =>
    atOnce(() => {
      const before = living(object, id);
      const stamped =
        typeof before.data.updated === 'number' ? { updated: secondsOf(options), ...fields } : fields;
      const after = put(remade(before, mergeUpdate(before.data, stamped)));
      mirror(after, options);
      announce(announcing('updated', object, after.data), after, options, before.data);
      refreshParents(after, options);
      moveDefaults(before, after, options);
      return after.data;
    });

  const strike = (before: Entry, options: ChangeOptions): Entry => {
    const after = put({ ...before, deleted: true });
    mirror(after, options);
    announce(announcing('deleted', after.object, after.data), after, options);
    refreshParents(after, options);
    return after;
  };

  const remove = (object: string, id: string, options: ChangeOptions = {}): void =>
    atOnce(() => {
      const before = living(object, id);
      if (object === 'subscription') {
        if (before.data.status === 'canceled') throw new Error(`The subscription ${id} is canceled already.`);
        const at = secondsOf(options);
        update(
          object,
          id,
          { status: 'canceled', canceled_at: at, ended_at: at },
          { event: 'customer.subscription.deleted', ...options },
        );
        return;
      }
      const { deletable, deletedEvents } = catalogObject(object);
      if (!deletable && deletedEvents.length === 0)
        throw new Error(`Stripe does not delete objects of the type ${object}.`);
      for (const { kind, entry } of cascadeOf(store, before)) {
        const follow = consequence(options);
        if (kind === 'cancel') remove('subscription', entry.id, follow);
        else if (kind === 'detach')
          update(
            'payment_method',
            entry.id,
            { customer: null },
            { event: 'payment_method.detached', ...follow },
          );
        else if (kind === 'remove') strike(entry, follow);
        else put({ ...entry, deleted: true });
      }
      moveDefaults(before, strike(before, options), options);
    });

  /** A preview looks like the object and has no id: it is nowhere to be found afterwards. */
  const preview = (object: string, options: ChangeOptions): JsonObject => {
    const made = draft(object, objectId(catalogObject(object), random, context.accountMark), {}, options);
    const { id: _unused, ...data } = made.data;
    const list = embeddedListOf(object);
    if (list === undefined || made.children === undefined) return data;
    return {
      ...data,
      [list.field]: {
        object: 'list',
        data: made.children.map((child) => child.data),
        has_more: false,
        url: '',
      },
    };
  };

  const emit = (type: string, object: string, id?: string, options: ChangeOptions = {}): SimulatedEvent =>
    atOnce(() => {
      checkEventType(type, object);
      const { singleton } = catalogObject(object);
      const entry = id === undefined && !singleton ? undefined : store.get(object, id ?? object);
      if (entry === undefined && (id !== undefined || singleton))
        throw new Error(`There is no ${object} ${id ?? ''}.`);
      const about = entry === undefined ? { object, data: preview(object, options) } : entry;
      announce([type], about, { ...options, event: type });
      return (announced.at(-1) as Announced).event;
    });

  const createMany = (object: string, count: number, options: SeedOptions = {}): string[] =>
    atOnce(() => {
      const wasSilent = silent;
      silent = true;
      try {
        const to = options.to ?? startedAt - 3600;
        const from = options.from ?? to - TWO_YEARS;
        return Array.from({ length: count }, (_, index) => {
          const { fields = {}, items, parent } = options;
          const created = Math.floor(from + ((to - from) * (index + 1)) / count);
          const data = create(object, typeof fields === 'function' ? fields(index) : fields, {
            created,
            ...(items === undefined ? {} : { items }),
            ...(parent === undefined ? {} : { parent }),
          });
          return String(data.id);
        });
      } finally {
        silent = wasSilent;
      }
    });

  return {
    create,
    update,
    remove,
    emit,
    createMany,
    setVisibility: announcer.setVisibility,
    made: () => made,
  };
}

function remade(entry: Entry, data: JsonObject): Entry {
  return makeEntry({ ...entry, json: JSON.stringify(data) });
}
