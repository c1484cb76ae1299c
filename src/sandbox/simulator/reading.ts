/** What a GET answers: the state of the account, turned into Stripe's JSON. */
import { renderInVersion, rendersLikeLatest } from './api-version.js';
import { catalogObject } from './catalog.js';
import { ApiError, noSuch } from './errors.js';
import { bothCursors, type EventLog } from './event-log.js';
import { expandObject } from './expand.js';
import type { JsonObject } from './json.js';
import { hidesSomethingByDefault, isHiddenByDefault, passesFilter } from './list-parameters.js';
import { cashBalanceOf, ONE_PER_CUSTOMER } from './objects/without-id.js';
import { type Page, readPage } from './page.js';
import { pageJson } from './page-json.js';
import type { PageRecord } from './page-record.js';
import { parentId } from './parents.js';
import { limitParameter, missingParameter, type Query, rangeParameter, unknownParameter } from './query.js';
import type { ListRoute, Match, RetrieveRoute } from './routes.js';
import type { Entry, Store } from './store.js';
import { createTimeline, type Timeline } from './timeline.js';

export interface Reading {
  /** The JSON of a list's page or of one object. */
  read(match: Match, query: Query, version: string): Buffer;
}

const PAGINATION = new Set(['limit', 'starting_after', 'ending_before', 'expand']);

export function createReading(store: Store, events: EventLog, record: PageRecord): Reading {
  const find = (id: string): JsonObject | undefined => {
    for (const object of store.objects()) {
      const entry = ONE_PER_CUSTOMER.has(object) ? undefined : store.get(object, id);
      if (entry !== undefined) return entry.deleted ? tombstone(entry) : entry.data;
    }
    return undefined;
  };

  const render = (
    entry: { data: JsonObject; json: string },
    version: string,
    expand: readonly string[],
  ): string => {
    if (expand.length === 0 && rendersLikeLatest(version)) return entry.json;
    let { data } = entry;
    for (const path of expand) data = expandObject(store, find, data, path);
    return JSON.stringify(renderInVersion(version, data));
  };

  const timelineOf = (route: ListRoute, query: Query, ids: readonly string[]): Timeline<Entry> => {
    if (route.parent !== undefined) {
      const [id = ''] = ids;
      if (store.alive(route.parent, id) === undefined) throw noSuch(route.parent, id, route.parent, 404);
      return mergedChildren(store, route, id, query);
    }
    const [object = ''] = route.objects;
    if (route.queryParent === undefined) return store.list(object);
    const { object: parent, param } = route.queryParent;
    const id = String(query[param]);
    if (store.alive(parent, id) === undefined) throw noSuch(parent, id, param, 400);
    return store.childrenOf(object, parent, id);
  };

  const cursor = (
    route: ListRoute,
    query: Query,
    param: 'starting_after' | 'ending_before',
  ): Entry | undefined => {
    const id = query[param];
    if (id === undefined) return undefined;
    for (const object of route.objects) {
      const entry = store.get(object, String(id));
      if (entry === undefined) continue;
      const catalogued = catalogObject(object);
      // Stripe still knows deleted customers, and loses its place at other deleted objects and at a subscription that
      // was canceled during a walk over the ones that are not.
      if (entry.deleted && !catalogued.retrieveMayReturnDeleted) break;
      if (object === 'subscription' && isHiddenByDefault(object, false, entry.data, query)) break;
      return entry;
    }
    throw noSuch(route.objects[0] ?? 'object', String(id), param, 400);
  };

  const list = (route: ListRoute, query: Query, ids: readonly string[], version: string): Buffer => {
    const [object = ''] = route.objects;
    const used: string[] = [];
    for (const name of Object.keys(query)) {
      if (PAGINATION.has(name)) {
        if (name === 'ending_before' && !route.endingBefore) throw unknownParameter(name);
      } else if (name !== 'created' || !route.createdFilter) {
        if (!route.filters.has(name)) throw unknownParameter(name);
        if (name !== route.queryParent?.param && !(route.parent !== undefined && name === 'object'))
          used.push(name);
      }
    }
    for (const name of route.required) if (query[name] === undefined) throw missingParameter(name);
    if (query.starting_after !== undefined && query.ending_before !== undefined) throw bothCursors();
    if (typeof query.customer === 'string' && store.get('customer', query.customer) === undefined) {
      throw noSuch('customer', query.customer, 'customer', 400);
    }

    const limit = limitParameter(query.limit);
    const range = query.created === undefined ? {} : rangeParameter(query.created, 'created');
    const timeline = timelineOf(route, query, ids);
    const startingAfter = cursor(route, query, 'starting_after');
    const endingBefore = cursor(route, query, 'ending_before');
    const excludesTestClocks = catalogObject(object).testClockExcluded === true;
    // Only the account-wide list hides things; under a parent everything is there.
    const hides = route.parent === undefined && (hidesSomethingByDefault(object) || excludesTestClocks);
    const accept = (entry: Entry): boolean =>
      !(hides && isHiddenByDefault(object, excludesTestClocks, entry.data, query)) &&
      used.every((name) => passesFilter(object, name, entry.data, query[name] ?? ''));

    const page: Page<Entry> = readPage({
      timeline,
      limit,
      ...(startingAfter === undefined ? {} : { startingAfter }),
      ...(endingBefore === undefined ? {} : { endingBefore }),
      ...(range.from === undefined ? {} : { createdFrom: range.from }),
      ...(range.to === undefined ? {} : { createdTo: range.to }),
      ...(hides || used.length > 0 ? { accept } : {}),
    });
    const expand = expansions(query, 'data.');
    const url = ids.reduce((path, id) => path.replace(/\{[^}]+\}/, id), route.path);
    record.note(
      url,
      query,
      page.items.map(({ id }) => id),
    );
    return pageJson(
      page.items.map((entry) => render(entry, version, expand)),
      page.hasMore,
      url,
    );
  };

  const retrieve = (route: RetrieveRoute, query: Query, ids: readonly string[], version: string): string => {
    for (const name of Object.keys(query)) {
      if (name !== 'expand' && !(route.path === '/v1/billing/credit_balance_summary'))
        throw unknownParameter(name);
    }
    const expand = expansions(query, '');
    const [object = ''] = route.objects;
    const parent = route.parent === undefined ? undefined : { object: route.parent, id: ids[0] ?? '' };
    if (route.singleton) {
      return render(singleton(store, object, parent), version, expand);
    }
    const id = ids.at(-1) ?? '';
    for (const candidate of route.objects) {
      const entry = store.get(candidate, id);
      if (entry === undefined) continue;
      if (parent !== undefined && parentId(entry.data, entry.parents, parent.object) !== parent.id) continue;
      if (!entry.deleted) return render(entry, version, expand);
      if (catalogObject(candidate).retrieveMayReturnDeleted) return JSON.stringify(tombstone(entry));
      break;
    }
    throw noSuch(object, id, 'id', 404);
  };

  return {
    read({ route, ids }, query, version) {
      if (route.objects[0] === 'event') {
        if (route.kind === 'retrieve') return Buffer.from(events.retrieve(ids[0] ?? '').json);
        const page = events.list(query);
        return pageJson(
          page.items.map((event) => event.json),
          page.hasMore,
          '/v1/events',
        );
      }
      return route.kind === 'list'
        ? list(route, query, ids, version)
        : Buffer.from(retrieve(route, query, ids, version));
    },
  };
}

/** What Stripe answers for a deleted customer or terminal object. */
export function tombstone(entry: Entry): JsonObject {
  return { id: entry.id, object: entry.object, deleted: true };
}

function expansions(query: Query, prefix: string): string[] {
  if (query.expand === undefined) return [];
  const paths = Array.isArray(query.expand) ? query.expand : [query.expand];
  return paths.map((path) => {
    if (typeof path === 'string' && path.startsWith(prefix)) return path.slice(prefix.length);
    throw new ApiError(400, `This property cannot be expanded (${String(path)}).`, { param: 'expand' });
  });
}

/** A list under a parent may mix kinds: a customer's sources are bank accounts, cards and sources. */
function mergedChildren(store: Store, route: ListRoute, id: string, query: Query): Timeline<Entry> {
  const parent = route.parent ?? '';
  const wanted =
    route.objects.length > 1 && query.object !== undefined ? [String(query.object)] : route.objects;
  const [only] = wanted;
  if (only !== undefined && wanted.length === 1) return store.childrenOf(only, parent, id);
  const merged = createTimeline<Entry>();
  merged.addMany(wanted.flatMap((object) => [...store.childrenOf(object, parent, id).items]));
  return merged;
}

/** One per account (the balance), or one per parent (a customer's discount or cash balance). */
function singleton(
  store: Store,
  object: string,
  parent: { object: string; id: string } | undefined,
): { data: JsonObject; json: string } {
  if (parent === undefined) {
    const entry = store.get(object, object);
    if (entry === undefined) throw noSuch(object, object, 'id', 404);
    return entry;
  }
  if (store.alive(parent.object, parent.id) === undefined)
    throw noSuch(parent.object, parent.id, parent.object, 404);
  const [entry] = readPage<Entry>({
    timeline: store.childrenOf(object, parent.object, parent.id),
    limit: 1,
  }).items;
  if (entry !== undefined) return entry;
  if (object === 'discount') throw noSuch('discount', parent.id, 'customer', 404);
  const data: JsonObject = object === 'cash_balance' ? cashBalanceOf(parent.id) : { object };
  return { data, json: JSON.stringify(data) };
}
