/** One account's own: its objects and its events, how they change, and what a GET reads of them. */
import { catalog } from './catalog.js';
import { type ChangeContext, type Changes, createChanges } from './changes.js';
import type { Clock } from './clock.js';
import { embeddingParents } from './embedded-lists.js';
import { createEventLog, type EventLog } from './event-log.js';
import type { Change } from './journal.js';
import type { PageRecord } from './page-record.js';
import type { Random } from './random.js';
import { createReading, type Reading } from './reading.js';
import { listParents } from './routes.js';
import { createStore, type Store } from './store.js';
import { createTraffic, type Traffic } from './traffic/traffic.js';

export interface AccountRoom {
  readonly account: string;
  readonly store: Store;
  readonly events: EventLog;
  readonly changes: Changes;
  readonly traffic: Traffic;
  readonly reading: Reading;
}

/** What all accounts of a simulator have in common. */
export interface SharedByAccounts
  extends Pick<ChangeContext, 'clock' | 'apiVersion' | 'embeddedItems' | 'visibility'> {
  readonly retentionSeconds: number;
  /** How many webhook endpoints have not yet acknowledged an event. */
  readonly pendingOf: (event: string) => number;
  readonly pages: PageRecord;
}

export interface AccountRoomContext extends Pick<ChangeContext, 'publish'> {
  readonly account: string;
  /** What an earlier run on the same directory left. */
  readonly known: Change;
  readonly randomOf: (label: string) => Random;
}

export function createAccountRoom(
  shared: SharedByAccounts,
  { account, known, randomOf, publish }: AccountRoomContext,
): AccountRoom {
  const { clock, retentionSeconds } = shared;
  const store = createStore(parentsOf);
  store.putMany(known.entries);
  const events = createEventLog(clock, retentionSeconds, shared.pendingOf);
  events.addMany(known.events);
  const changes = createChanges({
    store,
    events,
    clock,
    apiVersion: shared.apiVersion,
    accountMark: account.slice(-8),
    embeddedItems: shared.embeddedItems,
    visibility: shared.visibility,
    firstSequence: known.events.reduce((next, event) => Math.max(next, event.sequence + 1), 0),
    randomOf,
    publish,
  });
  for (const { object, singleton } of catalog.values()) {
    if (singleton && store.get(object, object) === undefined) changes.create(object, {}, { event: false });
  }
  return {
    account,
    store,
    events,
    changes,
    traffic: createTraffic(store, changes, randomOf('traffic')),
    reading: createReading(store, events, shared.pages),
  };
}

/** What has aged out long ago is of no use to anybody, and a sandbox may be resumed for months. */
export function stillOfUse({ entries, events }: Change, clock: Clock, retentionSeconds: number): Change {
  return { entries, events: events.filter((event) => event.created >= clock.now() - 2 * retentionSeconds) };
}

/** What an object can be listed under, embedded in, or expanded into. */
function parentsOf(object: string): string[] {
  const expandable: Readonly<Record<string, string>> = {
    subscription: 'customer',
    invoice_payment: 'invoice',
  };
  const extra = expandable[object];
  return [
    ...new Set([
      ...listParents(object),
      ...embeddingParents(object),
      ...(extra === undefined ? [] : [extra]),
    ]),
  ];
}
