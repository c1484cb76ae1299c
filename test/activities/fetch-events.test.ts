import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FetchInput } from '../../activities/fetch-events.js';
import type { FetchReport } from '../../src/domain/account-state.js';
import { advanceCursor, type Cursor } from '../../src/domain/cursor.js';
import { StripeFailure } from '../../src/domain/failures.js';
import { insertEvents } from '../../src/postgres/insert-events.js';
import { takeFence } from '../../src/postgres/take-fence.js';
import { compositeKeys, storedObjects } from '../../src/stripe/stored-objects.js';
import { type ActivityRoom, createActivityRoom, eventOf, hangingRequest } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const DAY = 86_400;

function asked(room: ActivityRoom, over: Partial<FetchInput> = {}): FetchInput {
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
function customers(room: ActivityRoom, count: number, ago: number, options = {}) {
  const created = room.now() - ago;
  for (let made = 0; made < count; made += 1) room.simulator.create('customer', {}, { created, ...options });
}

/** The event that a walk from before all others begins after. */
function firstEvent(room: ActivityRoom, ago: number) {
  room.simulator.create('customer', {}, { created: room.now() - ago });
  const [event] = room.simulator.events();
  if (event === undefined) throw new Error('there is an event now');
  return { id: event.id, created: event.created };
}

/** Where the workflow's cursor goes after a fetch. */
function movedBy({ trail = [] }: FetchReport, cursor: Cursor | null) {
  return advanceCursor(cursor, trail, 5);
}

/** What the workflow hands to the next fetch. */
function following({ trail = [], lookedAt = null, news = 0, frontier }: FetchReport): Partial<FetchInput> {
  return { trail, lookedAt, news, frontier };
}

const idsOf = (events: readonly { readonly id: string }[]) => events.map((event) => event.id).sort();

describe('a fetch', () => {
  it('hands on every event of all pages once, oldest first, without any payload', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 130, 90);
    customers(room, 120, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(idsOf(references)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(references.map((entry) => entry.created)).toEqual(
      references.map((entry) => entry.created).toSorted((a, b) => a - b),
    );
    expect(Object.keys(references[0] ?? {}).sort()).toEqual(['created', 'id', 'object', 'objectId', 'type']);
    expect(report).toMatchObject({ inserted: 250, requests: 3, passes: 1, caughtUp: true, trouble: null });
  });

  it('stops at the page cap, and the next one goes on where the cursor has got to', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 500);
    for (let ago = 450; ago > 0; ago -= 1) customers(room, 1, ago + 10);
    const first = await room.run('fetchEvents', asked(room, { cursor, pageCap: 2 }));
    expect(first.report).toMatchObject({ inserted: 200, caughtUp: false });
    const moved = movedBy(first.report, cursor);
    expect(moved.cursor?.id).toBe(first.references.at(-1)?.id);
    const second = await room.run('fetchEvents', asked(room, { ...moved, caughtUp: false, pageCap: 2 }));
    const third = await room.run('fetchEvents', asked(room, { ...moved, caughtUp: false, pageCap: 2 }));
    const all = [first, second, third].flatMap((fetch) => fetch.references);
    expect(idsOf(all)).toEqual(idsOf(room.simulator.events().slice(1)));
  });

  it('gets past a burst that is longer than the page cap and not settled yet', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 350, 0);
    const found = [];
    for (let fetch = 0; fetch < 2; fetch += 1) {
      const { references } = await room.run('fetchEvents', asked(room, { cursor, pageCap: 2 }));
      found.push(...references);
    }
    expect(found).toHaveLength(350);
  });

  it('lets the cursor reach the newest settled event, and not one of a second that may still fill up', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 20);
    const settled = room.simulator.events().at(-1);
    customers(room, 1, 2);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(2);
    expect(movedBy(report, cursor).cursor?.id).toBe(settled?.id);
  });

  it('counts the lag from when Stripe read the list, not from the Date of a slow answer', async () => {
    const slow = 30;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        const date = (response.date ?? 0) + slow;
        return { ...response, date, durationMs: response.durationMs + slow * 1_000 };
      },
    });
    const cursor = firstEvent(room, 100);
    // At the moment of the listing this second is not settled; at the Date of the answer it would be.
    customers(room, 1, 2);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(1);
    expect(movedBy(report, cursor).cursor).toEqual(cursor);
  });

  it('measures how late an event is that surfaces behind one that was seen before', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 2);
    const first = await room.run('fetchEvents', asked(room, { cursor }));
    expect(first.report.lateness).toEqual([]);
    customers(room, 1, 8);
    const second = await room.run('fetchEvents', asked(room, { cursor, ...following(first.report) }));
    expect(second.references).toHaveLength(1);
    expect(second.report.lateness).toHaveLength(1);
    expect(second.report.lateness[0]).toBeGreaterThanOrEqual(8);
    expect(second.report.lateness[0]).toBeLessThanOrEqual(11);
  });

  it('waits for an event that surfaces while it polls', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 0, { visibleAfterSeconds: 0.7 });
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 10 }));
    expect(references).toHaveLength(1);
    expect(report.passes).toBeGreaterThan(1);
  });
});

describe('a long walk', () => {
  it('goes on after a crash from the page that it had come to, and loses nothing of what it knew', async () => {
    const hanging = hangingRequest();
    let left = 4;
    const paths: string[] = [];
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        paths.push(path);
        left -= 1;
        // The worker is gone in the middle of a request; nobody hears of it.
        return left === 0 ? hanging.request() : get(path);
      },
    });
    const cursor = firstEvent(room, 2_000);
    for (let ago = 1_000; ago > 200; ago -= 1) customers(room, 1, ago);
    const lost = room.begin('fetchEvents', asked(room, { cursor, caughtUp: false }), { activityId: 'one' });
    while (left > 0) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const before = paths.length;
    const next = await room.run('fetchEvents', asked(room, { cursor, caughtUp: false }), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails,
    });
    expect(paths[before]).toBe(paths[before - 1]);
    expect(paths.slice(before)).toHaveLength(5);
    expect(next.report).toMatchObject({ inserted: 800, caughtUp: true });
    expect(idsOf(next.references)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(movedBy(next.report, cursor).cursor?.id).toBe(next.references.at(-1)?.id);
    expect(JSON.stringify(heartbeatDetails).length).toBeLessThan(2_000);
    hanging.end();
    await expect(lost.result).rejects.toThrow();
  });

  it('tells of a gap although it crashes right after it was noticed', async () => {
    const hanging = hangingRequest();
    let isLost = false;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        if (!path.includes('created[gte]')) return get(path);
        if (isLost) return get(path);
        isLost = true;
        return hanging.request();
      },
    });
    const cursor = firstEvent(room, 10);
    room.simulator.advanceClock(31 * DAY);
    const lost = room.begin('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    while (!isLost) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const { report } = await room.run('fetchEvents', asked(room, { cursor }), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails,
    });
    expect(report.reanchored?.gap?.from).toBe(cursor.created - 5);
    hanging.end();
    await expect(lost.result).rejects.toThrow();
  });
});

describe('the pace of fetches that follow one another at once', () => {
  it('is that of the poll interval, so that steady traffic costs no more than the interval says', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const before = room.simulator.stats().requests.events;
    const began = performance.now();
    let last = following((await room.run('fetchEvents', asked(room, { cursor, pollSeconds: 0.5 }))).report);
    for (let fetch = 0; fetch < 4; fetch += 1) {
      customers(room, 1, 0);
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { cursor, ...last, pollSeconds: 0.5, waitSeconds: 10 }),
      );
      expect(report.inserted).toBe(1);
      last = following(report);
    }
    const intervals = (performance.now() - began) / 500;
    expect(room.simulator.stats().requests.events - before).toBeLessThanOrEqual(intervals + 1);
  });

  it('is not held to where more waits in the inbox than there was room for', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 30, 60);
    const began = performance.now();
    const found = [];
    for (let fetch = 0; fetch < 3; fetch += 1) {
      const over = { cursor, room: 10, pollSeconds: 60, waitSeconds: 60 };
      found.push(...(await room.run('fetchEvents', asked(room, over))).references);
    }
    expect(idsOf(found)).toEqual(idsOf(room.simulator.events().slice(1)));
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('is not held to while a backlog is walked', async () => {
    const room = await createActivityRoom(database);
    let state: Partial<FetchInput> = { cursor: firstEvent(room, 2_000), caughtUp: false };
    for (let ago = 1_500; ago > 1_000; ago -= 1) customers(room, 1, ago);
    const began = performance.now();
    for (let fetches = 0; fetches < 6; fetches += 1) {
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { ...state, pollSeconds: 60, pageCap: 1 }),
      );
      state = { ...following(report), ...movedBy(report, state.cursor ?? null), caughtUp: false };
    }
    expect((await room.ledger()).length).toBe(500);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe('what a fetch asks of Stripe', () => {
  it('is one request in each interval, also where the interval does not divide the wait', async () => {
    const room = await createActivityRoom(database);
    let last: Partial<FetchInput> = { cursor: firstEvent(room, 100) };
    const began = performance.now();
    const before = room.simulator.stats().requests.events;
    for (let fetch = 0; fetch < 5; fetch += 1) {
      const { report } = await room.run(
        'fetchEvents',
        asked(room, { ...last, pollSeconds: 1.7, waitSeconds: 2 }),
      );
      last = { ...last, ...following(report), caughtUp: report.caughtUp };
    }
    const intervals = (performance.now() - began) / 1_700;
    expect(room.simulator.stats().requests.events - before).toBeLessThanOrEqual(intervals + 1);
  });

  it('waits for as long as Stripe asked for, over several fetches', async () => {
    const at: number[] = [];
    const room = await createActivityRoom(database, {
      between: async () => {
        at.push(performance.now());
        throw new StripeFailure('rate-limited', { message: 'slow down', retryAfterMs: 2_500 });
      },
    });
    const cursor = { id: 'evt_x', created: room.now() - 10 };
    for (let fetch = 0; fetch < 4; fetch += 1)
      await room.run('fetchEvents', asked(room, { cursor, caughtUp: false, trouble: 'slow down' }));
    expect(at.length).toBeGreaterThan(1);
    for (const [index, time] of at.entries())
      if (index > 0) expect(time - (at[index - 1] ?? 0)).toBeGreaterThan(2_400);
  });

  it('is counted, what a killed attempt had asked too', async () => {
    const hanging = hangingRequest();
    let asks = 0;
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        asks += 1;
        return asks === 6 ? hanging.request() : get(path);
      },
    });
    const cursor = firstEvent(room, 500);
    for (let ago = 450; ago > 0; ago -= 1) customers(room, 2, ago + 10);
    const lost = room.begin('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    while (asks < 6) await sleep(10);
    const heartbeatDetails = lost.heartbeats.at(-1);
    const second = { activityId: 'one', attempt: 2, heartbeatDetails };
    await room.run('fetchEvents', asked(room, { cursor }), second);
    const { rows } = await database.pool.query(
      'select sum(reads)::int as reads from stripe_sync.reads where account = $1',
      [room.account],
    );
    expect(rows).toEqual([{ reads: asks }]);
    hanging.end();
    await lost.result.catch(() => undefined);
  });
});

describe('an attempt that follows one which PostgreSQL ended in the middle of a walk', () => {
  it('does not say that the list was read to its end before it is, whatever the poll interval', async () => {
    let pages = 0;
    let isBroken = false;
    const lostConnection = Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
    const pool = new Proxy(database.pool, {
      get(target, property) {
        const value = Reflect.get(target, property) as unknown;
        if (typeof value !== 'function') return value;
        if (property !== 'query') return value.bind(target);
        return (...args: unknown[]) => {
          if (String(args[0]).includes('with listed')) pages += 1;
          if (pages === 2 || isBroken) {
            pages += 1;
            isBroken = true;
            return Promise.reject(lostConnection);
          }
          return value.apply(target, args) as unknown;
        };
      },
    });
    const room = await createActivityRoom(database, { pool });
    const cursor = firstEvent(room, 100);
    customers(room, 250, 60);
    const over = { cursor, pollSeconds: 10, waitSeconds: 60 };
    const lost = room.begin('fetchEvents', asked(room, over), { activityId: 'one' });
    await expect(lost.result).rejects.toMatchObject({ type: 'PostgreSQL/unavailable' });
    isBroken = false;
    const { report, references } = await room.run('fetchEvents', asked(room, over), {
      activityId: 'one',
      attempt: 2,
      heartbeatDetails: lost.heartbeats.at(-1),
    });
    expect(references).toHaveLength(250);
    expect(report.caughtUp).toBe(true);
    const moved = movedBy(report, cursor).cursor;
    const window = { account: room.account, from: cursor.created + 1, to: moved?.created ?? 0 };
    expect(await room.run('rescanEvents', window)).toMatchObject({ listed: 250, leaked: 0 });
  });
});

describe('an event that a webhook told of first', () => {
  it('is handed on once, and measured when the list shows it', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 9, { visibleAfterSeconds: 1.5 });
    const event = room.simulator.events().at(-1);
    await insertEvents(database.pool, {
      account: room.account,
      page: JSON.stringify({
        data: [
          eventOf(event?.id ?? '', 'customer.created', event?.created ?? 0, {
            object: 'customer',
            id: 'cus_1',
          }),
        ],
      }),
      source: 'webhook',
      seenAt: room.now(),
      objects: storedObjects(),
      keyFields: compositeKeys(),
    });
    const first = await room.run('fetchEvents', asked(room, { cursor }));
    expect(idsOf(first.references)).toEqual([event?.id]);
    const { rows: unlisted } = await database.pool.query(
      'select listed_at from stripe_sync.events where account = $1 and id = $2',
      [room.account, event?.id],
    );
    expect(unlisted).toEqual([{ listed_at: null }]);
    await sleep(2_000);
    // Nothing newer was seen in the list: only the webhook tells that it was late.
    const second = await room.run('fetchEvents', asked(room, { cursor, ...following(first.report) }));
    expect(second.references).toEqual([]);
    expect(second.report).toMatchObject({ inserted: 0 });
    expect(second.report.lateness).toHaveLength(1);
    expect(second.report.lateness[0]).toBeGreaterThanOrEqual(10);
    expect(second.report.lateness[0]).toBeLessThanOrEqual(14);
    const { rows } = await database.pool.query<{ least: number; most: number; source: string }>(
      `select extract(epoch from looked_at - created)::int as least, extract(epoch from listed_at - created)::int as most,
         source
       from stripe_sync.events where account = $1 and id = $2`,
      [room.account, event?.id],
    );
    expect(rows[0]?.source).toBe('webhook');
    expect(rows[0]?.least).toBeGreaterThanOrEqual(8);
    expect(rows[0]?.least).toBeLessThan(rows[0]?.most ?? 0);
    const third = await room.run('fetchEvents', asked(room, { cursor, ...following(second.report) }));
    expect(third.report.lateness).toEqual([]);
  });
});

describe('the claims of a fetch', () => {
  it('come back to its next attempt, and to nobody else', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 5, 60);
    const first = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one' });
    const again = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one', attempt: 2 });
    expect(first.references).toHaveLength(5);
    expect(again.references).toEqual(first.references);
    const other = await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'two' });
    expect(other.references).toEqual([]);
  });

  it('come back in full to its next attempt, although an older event has surfaced and there is no more room', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 2, 60);
    const first = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), { activityId: 'one' });
    customers(room, 1, 80);
    const again = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), {
      activityId: 'one',
      attempt: 2,
    });
    const rest = await room.run('fetchEvents', asked(room, { cursor, room: 2 }), { activityId: 'two' });
    expect(first.references).toHaveLength(2);
    const handedOn = new Set(idsOf([...again.references, ...rest.references]));
    expect([...handedOn]).toEqual(idsOf(room.simulator.events().slice(1)));
  });

  it('that were lost are freed when it is told to', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    await room.run('fetchEvents', asked(room, { cursor }), { activityId: 'lost' });
    const freed = await room.run('fetchEvents', asked(room, { cursor, freeOlderThanSeconds: 0 }));
    expect(freed.references).toHaveLength(3);
  });

  it('are none where it was given up and the next one runs already', async () => {
    let hold: Promise<void> | null = null;
    let release = () => {};
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        await hold;
        return response;
      },
    });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const zombie = room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }), { activityId: 'one' });
    const failure = expect(zombie).rejects.toMatchObject({ type: 'FenceLost' });
    while (room.simulator.stats().requests.events === 0) await sleep(10);
    const next = room.run('fetchEvents', asked(room, { cursor }), { activityId: 'one', attempt: 2 });
    while (room.simulator.stats().requests.events === 1) await sleep(10);
    release();
    hold = null;
    await failure;
    expect((await next).references).toHaveLength(3);
  });

  it('are not missed for the whole wait where an attempt that was given up took the fence back', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const waiting = room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }), {
      activityId: 'one',
      attempt: 2,
    });
    const failure = expect(waiting).rejects.toMatchObject({ type: 'FenceLost' });
    await sleep(300);
    const late = { account: room.account, fetchId: 'given-up#1', cursor, anchor: 0, lagSeconds: 5 };
    await takeFence(database.pool, late);
    await failure;
    customers(room, 2, 60);
    const repeated = await room.run('fetchEvents', asked(room, { cursor }), {
      activityId: 'one',
      attempt: 3,
    });
    expect(repeated.references).toHaveLength(2);
  });
});

describe('a cursor that Stripe no longer knows', () => {
  it('is found again by time, further back, and nothing is missed', async () => {
    const room = await createActivityRoom(database);
    const older = firstEvent(room, 200);
    customers(room, 3, 60);
    const { references, report } = await room.run(
      'fetchEvents',
      asked(room, { cursor: { id: 'evt_unknown', created: room.now() - 100 } }),
    );
    expect(report.reanchored).toMatchObject({ cursor: older, gap: null });
    expect(idsOf(references)).toEqual(idsOf(room.simulator.events()));
  });

  it('begins at its own second where Stripe lists nothing older', async () => {
    const room = await createActivityRoom(database);
    customers(room, 3, 60);
    const created = room.now() - 100;
    const { references, report } = await room.run(
      'fetchEvents',
      asked(room, { cursor: { id: 'evt_unknown', created } }),
    );
    expect(report.reanchored).toEqual({ cursor: null, anchor: created - 5, gap: null });
    expect(references).toHaveLength(3);
  });

  it('that aged out leaves a gap, which is told at once', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 10);
    room.simulator.advanceClock(31 * DAY);
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    const gap = report.reanchored?.gap;
    expect(gap?.from).toBe(cursor.created - 5);
    expect(Math.abs((gap?.to ?? 0) - (room.now() - 30 * DAY))).toBeLessThanOrEqual(3);
  });

  it('with a gap makes a later start fill the tables again, should this run not come to it', async () => {
    const room = await createActivityRoom(database);
    const open = () => room.run('openAccount', { account: room.account, fresh: false, lagSeconds: 5 });
    const cursor = firstEvent(room, 100);
    await open();
    await room.run('finishBackfill', room.account);
    expect(await open()).toMatchObject({ backfilled: true });
    room.simulator.advanceClock(31 * DAY);
    await room.run('fetchEvents', asked(room, { cursor }));
    expect(await open()).toMatchObject({ backfilled: false });
  });

  it('leaves the gap also where the answer has no Date', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    const cursor = { id: 'evt_unknown', created: room.now() - 31 * DAY };
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report.reanchored?.gap).toMatchObject({ from: cursor.created - 5 });
  });

  it('is waited out where Stripe knows no position at all', async () => {
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        if (!path.includes('ending_before')) return get(path);
        throw new StripeFailure('cursor-lost', { message: 'Stripe no longer knows the object.' });
      },
    });
    firstEvent(room, 200);
    const cursor = { id: 'evt_unknown', created: room.now() - 100 };
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report.trouble).toBe('Stripe no longer knows the object.');
    expect(room.simulator.stats().requests.events).toBeLessThanOrEqual(3);
  });
});

describe('what Stripe answers amiss', () => {
  it('is waited out, and then all events are there', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    room.simulator.addFault({ kind: 'server_error', next: 2 });
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 20 }));
    expect(references).toHaveLength(3);
    expect(report).toMatchObject({ failedPasses: 2, trouble: null, caughtUp: true });
  });

  it.each(['server_error', 'not_json', 'cut_body', 'bad_gateway'] as const)(
    'is reported in words where it goes on: %s',
    async (kind) => {
      const room = await createActivityRoom(database);
      const cursor = firstEvent(room, 100);
      room.simulator.setFaults({ rules: [{ kind, probability: 1 }] });
      const { references, report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
      expect(references).toEqual([]);
      expect(report).toMatchObject({ failedPasses: 3, trail: [], stripeNow: null });
      expect(report.trouble).toMatch(/Stripe/);
      expect(report.trouble).not.toContain(room.simulator.apiKey);
    },
  );

  it('is reported once: a trouble that is known already is waited out to the end', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    room.simulator.revokeKey();
    const first = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(first.report.trouble).toMatch(/does not accept the API key/);
    const { trouble } = first.report;
    const second = await room.run('fetchEvents', asked(room, { cursor, trouble, waitSeconds: 8 }));
    expect(second.report.failedPasses).toBeGreaterThan(3);
  });

  it('is over when a pass succeeds, which is told at once', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const { report } = await room.run(
      'fetchEvents',
      asked(room, { cursor, trouble: 'Stripe is away', waitSeconds: 30 }),
    );
    expect(report).toMatchObject({ trouble: null, passes: 1 });
  });

  it('with a time to wait is not asked again before that', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    customers(room, 1, 60);
    room.simulator.addFault({ kind: 'rate_limit', next: 1, retryAfterSeconds: 3 });
    const began = performance.now();
    const { references } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(references).toHaveLength(1);
    expect(performance.now() - began).toBeGreaterThan(2_900);
  });

  it.each(['event_without_object', 'event_null_object'] as const)(
    'does not hold up the other events of the page: %s',
    async (kind) => {
      const room = await createActivityRoom(database);
      const cursor = firstEvent(room, 100);
      customers(room, 5, 60);
      room.simulator.addFault({ kind, next: 1 });
      const { references } = await room.run('fetchEvents', asked(room, { cursor }));
      expect(references).toHaveLength(4);
      const ignored = (await room.ledger()).filter((entry) => entry.outcome === 'ignored');
      expect(ignored).toMatchObject([{ error: 'the event carries no object' }]);
    },
  );

  it('is counted where an entry is no event', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        const body = response.body as { data: Record<string, unknown>[] };
        delete body.data[0]?.id;
        return { ...response, body, text: JSON.stringify(body) };
      },
    });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(2);
    expect(report.malformed).toBe(1);
  });

  it('is not asked for in a circle where an empty page says that there is more', async () => {
    const room = await createActivityRoom(database, {
      between: async (path, get) => {
        const response = await get(path);
        return { ...response, body: { object: 'list', data: [], has_more: true }, text: '{"data":[]}' };
      },
    });
    const cursor = firstEvent(room, 100);
    const { report } = await room.run('fetchEvents', asked(room, { cursor, waitSeconds: 30 }));
    expect(report).toMatchObject({ failedPasses: 3, caughtUp: false });
    expect(report.trouble).toMatch(/says that there is more/);
    expect(room.simulator.stats().requests.events).toBe(3);
  });

  it('does not move the cursor where there is no Date, and hands the events on all the same', async () => {
    const room = await createActivityRoom(database, { dateHeader: false });
    const cursor = firstEvent(room, 100);
    customers(room, 3, 60);
    const { references, report } = await room.run('fetchEvents', asked(room, { cursor }));
    expect(references).toHaveLength(3);
    expect(movedBy(report, cursor).cursor).toEqual(cursor);
  });
});

describe('a fetch that waits', () => {
  it('ends at once when it is cancelled', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const fetch = room.begin('fetchEvents', asked(room, { cursor, waitSeconds: 60, pollSeconds: 60 }));
    await sleep(300);
    const began = performance.now();
    fetch.cancel();
    await expect(fetch.result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('ends at once when it is cancelled in the middle of a slow answer', async () => {
    const room = await createActivityRoom(database, { faults: { latency: { fixedMs: 20_000 } } });
    const fetch = room.begin('fetchEvents', asked(room));
    await sleep(300);
    const began = performance.now();
    fetch.cancel();
    await expect(fetch.result).rejects.toMatchObject({ name: 'CancelledFailure' });
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('hands in what it has when the worker is told to stop', async () => {
    const room = await createActivityRoom(database);
    const cursor = firstEvent(room, 100);
    const fetch = room.begin('fetchEvents', asked(room, { cursor, waitSeconds: 60, pollSeconds: 60 }));
    await sleep(300);
    const began = performance.now();
    room.stopping.abort();
    expect((await fetch.result).report).toMatchObject({ caughtUp: true, trouble: null });
    expect(performance.now() - began).toBeLessThan(500);
  });
});
