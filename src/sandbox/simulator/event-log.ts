/**
 * Every event ever made, and what `/v1/events` shows of them: nothing before it is visible, nothing that has aged out.
 */
import { eventTypes } from './catalog.js';
import type { Clock } from './clock.js';
import { ApiError, noSuch } from './errors.js';
import { tieOf } from './ids.js';
import { type Page, readPage } from './page.js';
import { withPendingWebhooks } from './pending-webhooks.js';
import { limitParameter, type Query, type QueryValue, rangeParameter, unknownParameter } from './query.js';
import { createTimeline, type Dated } from './timeline.js';

export interface SimulatedEvent extends Dated {
  readonly type: string;
  readonly object: string;
  /** Missing for objects that have no id, such as the preview of an upcoming invoice. */
  readonly objectId?: string;
  /** Seconds of the simulator's clock, with a fraction: when the change was made, and when the event is listed. */
  readonly changedAt: number;
  readonly visibleAt: number;
  /** The order of making: what came first within one second is told by nothing that Stripe shows. */
  readonly sequence: number;
  /** The event as Stripe sends it. */
  readonly json: string;
}

export function makeEvent(fields: Omit<SimulatedEvent, 'tie'>): SimulatedEvent {
  return { ...fields, tie: tieOf(fields.id) };
}

export interface EventLog {
  add(event: SimulatedEvent): void;
  addMany(events: readonly SimulatedEvent[]): void;
  /** Whatever its age and visibility. */
  get(id: string): SimulatedEvent | undefined;
  all(): readonly SimulatedEvent[];
  /** What `/v1/events` answers. */
  list(query: Query): Page<SimulatedEvent>;
  retrieve(id: string): SimulatedEvent;
}

const PARAMETERS = new Set([
  'limit',
  'starting_after',
  'ending_before',
  'created',
  'type',
  'types',
  'delivery_success',
  'expand',
]);

/** `pendingOf` tells how many webhook endpoints have not yet acknowledged an event. */
export function createEventLog(
  clock: Clock,
  retentionSeconds: number,
  pendingOf: (id: string) => number = () => 0,
): EventLog {
  const timeline = createTimeline<SimulatedEvent>();
  const byId = new Map<string, SimulatedEvent>();

  const oldestKept = (): number => Math.ceil(clock.now() - retentionSeconds);

  const cursor = (query: Query, param: 'starting_after' | 'ending_before'): SimulatedEvent | undefined => {
    const id = query[param];
    if (id === undefined) return undefined;
    const event = typeof id === 'string' ? byId.get(id) : undefined;
    if (event === undefined || event.visibleAt > clock.now()) throw noSuch('event', String(id), param, 400);
    if (event.created >= oldestKept()) return event;
    const days = Math.round(retentionSeconds / 86_400);
    throw new ApiError(
      400,
      `The event '${event.id}' has aged out and cannot be used as a cursor: events are listed for ${days} days.`,
      { param },
    );
  };

  const asShown = (event: SimulatedEvent): SimulatedEvent => {
    const pending = pendingOf(event.id);
    return pending === 0 ? event : { ...event, json: withPendingWebhooks(event.json, pending) };
  };

  return {
    add(event) {
      timeline.add(event);
      byId.set(event.id, event);
    },
    addMany(events) {
      timeline.addMany(events);
      for (const event of events) byId.set(event.id, event);
    },
    get: (id) => byId.get(id),
    all: () => timeline.items,
    list(query) {
      for (const name of Object.keys(query)) if (!PARAMETERS.has(name)) throw unknownParameter(name);
      const limit = limitParameter(query.limit);
      if (query.starting_after !== undefined && query.ending_before !== undefined) throw bothCursors();
      const startingAfter = cursor(query, 'starting_after');
      const endingBefore = cursor(query, 'ending_before');
      const range = query.created === undefined ? {} : rangeParameter(query.created, 'created');
      const wanted = typeFilter(query);
      const now = clock.now();
      const delivered = deliveryFilter(query, pendingOf);
      const page = readPage<SimulatedEvent>({
        timeline,
        limit,
        ...(startingAfter === undefined ? {} : { startingAfter }),
        ...(endingBefore === undefined ? {} : { endingBefore }),
        createdFrom: Math.max(oldestKept(), range.from ?? -Infinity),
        ...(range.to === undefined ? {} : { createdTo: range.to }),
        accept: (event) => event.visibleAt <= now && wanted(event.type) && delivered(event.id),
      });
      return { ...page, items: page.items.map(asShown) };
    },
    retrieve(id) {
      const event = byId.get(id);
      if (event !== undefined && event.visibleAt <= clock.now() && event.created >= oldestKept())
        return asShown(event);
      throw noSuch('event', id, 'id', 404);
    },
  };
}

export function bothCursors(): ApiError {
  return new ApiError(400, 'Pass either starting_after or ending_before, not both.', {
    param: 'ending_before',
  });
}

/** An event is delivered when every endpoint has it, and so is one that was meant for none. */
function deliveryFilter(query: Query, pendingOf: (id: string) => number): (id: string) => boolean {
  if (query.delivery_success === undefined) return () => true;
  const wanted = query.delivery_success !== 'false';
  return (id) => (pendingOf(id) === 0) === wanted;
}

function typeFilter(query: Query): (type: string) => boolean {
  const { type, types } = query;
  if (type !== undefined && types !== undefined) {
    throw new ApiError(400, 'Pass either type or types, not both.', { param: 'types' });
  }
  if (types !== undefined) {
    if (!Array.isArray(types))
      throw new ApiError(400, 'Invalid array: types must be a list.', { param: 'types' });
    if (types.length > 20) {
      throw new ApiError(400, `Too many types: ${types.length} were given, and 20 is the most.`, {
        param: 'types',
      });
    }
    const wanted = new Set<QueryValue>(types);
    for (const name of wanted) {
      if (typeof name !== 'string' || !eventTypes.has(name)) {
        throw new ApiError(400, `Invalid types: there is no event type ${JSON.stringify(name)}.`, {
          param: 'types',
        });
      }
    }
    return (name) => wanted.has(name);
  }
  if (type === undefined) return () => true;
  if (typeof type !== 'string') throw new ApiError(400, 'Invalid string: type.', { param: 'type' });
  if (!type.includes('*')) return (name) => name === type;
  const pattern = new RegExp(
    `^${type
      .split('*')
      .map((part) => part.replace(/[.\\+?^${}()|[\]]/g, '\\$&'))
      .join('.*')}$`,
  );
  return (name) => pattern.test(name);
}
