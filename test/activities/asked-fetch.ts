import type { FetchInput } from '../../activities/fetch-events.js';
import type { FetchReport } from '../../src/domain/account-state.js';
import { advanceCursor, type Cursor } from '../../src/domain/cursor.js';
import type { ActivityRoom } from '../support/activity-room.js';

/** What a fetch is asked for: a short one, from an hour ago, unless told otherwise. */
export function asked(room: ActivityRoom, over: Partial<FetchInput> = {}): FetchInput {
  return {
    account: room.account,
    cursor: null,
    anchor: room.now() - 3_600,
    lagSeconds: 5,
    limits: { floorSeconds: 5, maxSeconds: 300 },
    frontier: null,
    room: 1_000,
    waitSeconds: 1,
    pollSeconds: 0.1,
    pageCap: 10,
    freeOlderThanSeconds: null,
    caughtUp: true,
    trouble: null,
    ...over,
  };
}

/** Makes customers, each with an event, `ago` seconds before Stripe's present. */
export function customers(room: ActivityRoom, count: number, ago: number, options = {}) {
  const created = room.now() - ago;
  for (let made = 0; made < count; made += 1) room.simulator.create('customer', {}, { created, ...options });
}

/** The event that a walk from before all others begins after. */
export function firstEvent(room: ActivityRoom, ago: number) {
  room.simulator.create('customer', {}, { created: room.now() - ago });
  const [event] = room.simulator.events();
  if (event === undefined) throw new Error('there is an event now');
  return { id: event.id, created: event.created };
}

/** Where the workflow's cursor goes after a fetch. */
export function movedBy({ trail = [] }: FetchReport, cursor: Cursor | null) {
  return advanceCursor(cursor, trail, 5);
}

/** What the workflow hands to the next fetch. */
export function following({
  trail = [],
  lookedAt = null,
  news = 0,
  frontier,
}: FetchReport): Partial<FetchInput> {
  return { trail, lookedAt, news, frontier };
}

export const idsOf = (events: readonly { readonly id: string }[]) => events.map((event) => event.id).sort();
