import { describe, expect, it } from 'vitest';
import {
  type AccountState,
  afterBackfillReport,
  afterFetch,
  afterRescan,
  beginBackfill,
  deepRescanWindow,
  type FetchReport,
  openedState,
  rescanWindow,
  withBeginning,
} from '../../src/domain/account-state.js';

const DAY = 86_400;
const LIMITS = { floorSeconds: 5, maxSeconds: 300 };
const NOW = 1_800_000_000;

function opened(over: Partial<AccountState> = {}): AccountState {
  const start = { cursor: { id: 'evt_a', created: NOW }, anchor: NOW, lagSeconds: null, apiVersion: null };
  return { ...openedState({ ...start, beganAt: NOW }, LIMITS), caughtUp: true, ...over };
}

function report(over: Partial<FetchReport> = {}): FetchReport {
  return {
    trail: [],
    lookedAt: NOW,
    news: 0,
    stripeNow: NOW,
    frontier: NOW,
    caughtUp: true,
    inserted: 0,
    malformed: 0,
    failedPasses: 0,
    requests: 1,
    passes: 1,
    lateness: [],
    lagEvidence: 0,
    apiVersion: null,
    reanchored: null,
    trouble: null,
    ...over,
  };
}

describe('after a fetch', () => {
  it('the cursor moves by the lag that the fetch has widened, not by the one before', () => {
    const trail = [{ id: 'evt_b', created: NOW + 10, events: 1, readAt: NOW + 20 }];
    const state = opened();
    expect(afterFetch(state, report({ trail }), LIMITS).cursor?.id).toBe('evt_b');
    const widened = afterFetch(state, report({ trail, lagEvidence: 30, lateness: [31] }), LIMITS);
    expect(widened.cursor?.id).toBe('evt_a');
    expect(widened.trail).toEqual(trail);
    expect(widened.lag.seconds).toBe(46);
    expect(widened.lateness.maxSeconds).toBe(31);
  });

  it('a result of 0.1.0 moves the cursor as it did', () => {
    const { trail: _, lagEvidence: __, lookedAt: ___, news: ____, ...old } = report();
    const marks = [
      { id: 'evt_c', created: NOW + 18 },
      { id: 'evt_b', created: NOW + 10 },
    ];
    const after = afterFetch(opened(), { ...old, marks, stripeNow: NOW + 20, lateness: [2] }, LIMITS);
    expect(after.cursor).toEqual({ id: 'evt_b', created: NOW + 10 });
    expect(after.lag.seconds).toBe(5);
  });
});

describe('a gap', () => {
  const lost = { from: NOW - 40 * DAY, to: NOW - 30 * DAY };
  const noticed = () =>
    afterFetch(
      opened({ stripeNow: NOW - 40 * DAY }),
      report({ reanchored: { cursor: null, anchor: lost.from, gap: lost } }),
      LIMITS,
    );

  it('says since when nobody had read the list, and when that was noticed', () => {
    expect(noticed().gap).toEqual({
      ...lost,
      noticedAt: NOW,
      lastReadAt: NOW - 40 * DAY,
      backfill: null,
      filled: false,
    });
  });

  it('is filled by a whole backfill that began after it, and by no other', () => {
    const part = afterBackfillReport(beginBackfill(noticed(), 'asked for'), {
      number: 1,
      types: [],
      state: 'done',
    });
    expect(part.gap).toMatchObject({ backfill: null, filled: false });
    const begun = beginBackfill(part, 'a gap in the events', true);
    expect(begun.gap).toMatchObject({ backfill: 2, filled: false });
    expect(afterBackfillReport(begun, { number: 2, types: [], state: 'failed' }).gap?.filled).toBe(false);
    expect(afterBackfillReport(begun, { number: 2, types: [], state: 'done' }).gap?.filled).toBe(true);
  });

  it('takes in the next one as long as it is not filled', () => {
    const later = { from: NOW, to: NOW + DAY };
    const again = report({
      stripeNow: NOW + 31 * DAY,
      reanchored: { cursor: null, anchor: NOW, gap: later },
    });
    const both = afterFetch(noticed(), again, LIMITS).gap;
    expect(both).toMatchObject({ from: lost.from, to: later.to, lastReadAt: NOW - 40 * DAY });
    const filled = { ...noticed(), gap: { ...lost, filled: true } };
    expect(afterFetch(filled, again, LIMITS).gap).toMatchObject(later);
  });
});

describe('the window of a rescan', () => {
  const at = (cursor: number, over: Partial<AccountState> = {}) =>
    opened({ cursor: { id: 'evt_x', created: cursor }, beganAt: NOW - 10 * DAY, stripeNow: cursor, ...over });

  it('reaches from the cursor over what it has passed since the last one, and its own length further', () => {
    expect(rescanWindow(at(NOW, { rescannedTo: NOW - 900 }), 3_600)).toEqual({
      from: NOW - 4_500,
      to: NOW,
      deep: false,
    });
  });

  it('never begins before the account did: what is older is no leak, the first backfill brought it', () => {
    expect(rescanWindow(at(NOW, { beganAt: NOW - 60 }), 3_600)?.from).toBe(NOW - 60);
    expect(rescanWindow(at(NOW, { beganAt: NOW + 1 }), 3_600)).toBeNull();
  });

  it('leaves out the second in which the loop may be while it catches up', () => {
    expect(rescanWindow(at(NOW, { caughtUp: false }), 3_600)?.to).toBe(NOW - 1);
  });

  it('is none before there is a cursor', () => {
    expect(rescanWindow(opened({ cursor: null }), 3_600)).toBeNull();
  });

  it('is a deep one once a day, over everything since the one before the last', () => {
    expect(deepRescanWindow(at(NOW, { deepRescannedTo: NOW - DAY + 1 }), DAY)).toBeNull();
    expect(deepRescanWindow(at(NOW, { deepRescannedTo: NOW - DAY }), DAY)).toEqual({
      from: NOW - 2 * DAY,
      to: NOW,
      deep: true,
    });
  });

  it('is a first deep one a day after the account began, and no longer than Stripe keeps events', () => {
    expect(deepRescanWindow(at(NOW, { beganAt: NOW - DAY }), DAY)?.from).toBe(NOW - DAY);
    expect(deepRescanWindow(at(NOW, { beganAt: NOW - 90 * DAY }), DAY)?.from).toBe(NOW - 30 * DAY);
  });

  it('lists everything at least twice more, whenever rescans are due', () => {
    let state = at(NOW, { beganAt: NOW, deepRescannedTo: null });
    const times = new Map<number, number>();
    const event = NOW + 5_000;
    for (let now = NOW; now < NOW + 5 * DAY; now += 600) {
      state = { ...state, cursor: { id: 'evt_x', created: now }, stripeNow: now };
      const window = deepRescanWindow(state, DAY);
      if (window === null) continue;
      if (event >= window.from && event <= window.to) times.set(now, now - event);
      const listed = { listed: 0, requests: 1, leaked: 0, leaks: [], stripeNow: now };
      state = afterRescan(state, window, listed, LIMITS);
    }
    expect(times.size).toBeGreaterThanOrEqual(2);
    expect(Math.max(...times.values())).toBeGreaterThanOrEqual(DAY);
  });

  it('is due by the clock also where nothing new comes, and once a day at most', () => {
    const quiet = at(NOW, { beganAt: NOW - 3 * DAY, deepRescannedTo: NOW, stripeNow: NOW + DAY });
    expect(deepRescanWindow(quiet, DAY)).toMatchObject({ from: NOW - DAY, to: NOW });
    expect(deepRescanWindow({ ...quiet, deepRescannedAt: NOW + DAY - 600 }, DAY)).toBeNull();
  });

  it('of an account that 0.1.0 opened begins after what that version has rescanned', () => {
    const { beganAt: _, ...old } = at(NOW, { rescannedTo: NOW - 500 });
    expect(rescanWindow(withBeginning(old), 3_600)?.from).toBe(NOW - 499);
    expect(withBeginning(at(NOW)).beganAt).toBe(NOW - 10 * DAY);
  });
});

describe('a leak', () => {
  it('widens the lag so far that the next one of its kind is none', () => {
    const window = { from: NOW - 100, to: NOW };
    const found = { listed: 9, requests: 1, leaked: 2, leaks: [41, 22], stripeNow: NOW };
    const after = afterRescan(opened(), window, found, LIMITS);
    expect(after.leaks).toBe(2);
    expect(after.lag.seconds).toBe(42);
  });
});
