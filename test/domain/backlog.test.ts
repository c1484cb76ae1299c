import { describe, expect, it } from 'vitest';
import { afterFetch, type FetchReport, openedState } from '../../src/domain/account-state.js';
import {
  afterCatchUp,
  BACKLOG_FROM_SECONDS,
  backlogOf,
  type CatchUpReport,
  shareOf,
} from '../../src/domain/backlog.js';
import type { ListPage, ListRequest } from '../../src/domain/list-request.js';
import { pass } from '../../src/domain/pass.js';
import { rangeOf } from '../../src/domain/ranges.js';

const LIMITS = { floorSeconds: 5, maxSeconds: 300 };
const BASE = 1_800_000_000;
const NOW = BASE + 100_000;

const opened = (over: object = {}) => ({
  ...openedState(
    { cursor: { id: 'evt_c', created: BASE + 90_000 }, anchor: 0, lagSeconds: null, apiVersion: null },
    LIMITS,
  ),
  stripeNow: NOW,
  ...over,
});

const walked = (over: Partial<CatchUpReport> = {}): CatchUpReport => ({
  left: null,
  newest: { id: 'evt_n', created: BASE + 99_990 },
  inserted: 7,
  applied: 4,
  stale: 2,
  malformed: 0,
  requests: 3,
  stripeNow: NOW + 20,
  trouble: null,
  ...over,
});

describe('a backlog', () => {
  it('reaches from the cursor’s own second to what has settled', () => {
    expect(backlogOf(opened())).toMatchObject({ from: BASE + 90_000, to: NOW - 5, newest: null, listed: 0 });
  });

  it.each([
    ['the list was read to its end', { caughtUp: true }],
    ['there is no cursor yet', { cursor: null }],
    ['Stripe’s clock is not known', { stripeNow: null }],
    ['Stripe cannot be read', { trouble: 'no' }],
    ['a pass is as quick', { cursor: { id: 'evt_c', created: NOW - 5 - BACKLOG_FROM_SECONDS + 1 } }],
  ])('is none where %s', (_, over) => {
    expect(backlogOf(opened(over))).toBeNull();
  });

  it('moves the cursor to its newest event once nothing of it is left, and not before', () => {
    const state = opened({
      trail: [{ id: 'evt_t', created: BASE + 91_000, events: 1, readAt: NOW }],
      frontier: BASE + 91_000,
    });
    const backlog = backlogOf(state);
    const begun = { ...state, backlog };
    const half = afterCatchUp(begun, walked({ left: backlog }));
    expect(half).toMatchObject({ cursor: { id: 'evt_c' }, trail: state.trail, backlog, stripeNow: NOW + 20 });
    const done = afterCatchUp(half, walked());
    expect(done).toMatchObject({
      cursor: { id: 'evt_n', created: BASE + 99_990 },
      trail: [],
      backlog: null,
      frontier: BASE + 99_990,
      counters: { received: 14, applied: 8, stale: 4, requests: 6 },
    });
  });

  it('that held nothing, or nothing newer than the cursor, leaves it where it is', () => {
    for (const newest of [null, { id: 'evt_o', created: BASE + 89_999 }]) {
      const done = afterCatchUp(opened({ backlog: backlogOf(opened()) }), walked({ newest }));
      expect(done).toMatchObject({ cursor: { id: 'evt_c' }, backlog: null });
    }
  });

  it('tells the share that is listed', () => {
    const backlog = backlogOf(opened());
    if (backlog === null) throw new Error('there is one');
    expect(shareOf(backlog)).toBe(0);
    const { from, to } = backlog;
    const middle = (from + to) / 2;
    const reached = { ...rangeOf(0, middle, to), newest: to - 1, reached: middle + (to - middle) / 2 };
    expect(shareOf({ ...backlog, ranges: [reached, rangeOf(1, from, middle)] })).toBeCloseTo(0.25, 2);
    expect(shareOf({ ...backlog, ranges: [] })).toBe(1);
  });
});

describe('a pass that meets a backlog', () => {
  /** Full pages of events, one a second, from the one after `id`; Stripe's present is at `now`. */
  function run(backlogSeconds: number | null, now: number) {
    const reading = {
      cursor: { id: String(BASE + 90_000), created: BASE + 90_000 },
      anchor: 0,
      trail: [],
      lookedAt: null,
      news: 0,
    };
    const walk = pass(
      { ...reading, reanchored: null },
      { pageCap: 10, lagSeconds: 5, maxLagSeconds: 300, ourNow: now, backlogSeconds },
    );
    let requests = 0;
    let next = walk.next();
    while (!next.done) {
      requests += 1;
      next = walk.next(answer(next.value.request, now));
    }
    return { ...next.value, requests };
  }

  function answer(request: ListRequest, now: number): ListPage {
    if (request.kind !== 'after') throw new Error('it asks for what comes after');
    const first = Number(request.id) + 1;
    const last = Math.min(now, first + 99);
    const listed = Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => ({
      id: String(last - at),
      created: last - at,
    }));
    return { listed, hasMore: last < now, readAt: now, saidAt: now, news: listed.length };
  }

  it('ends after its first page, and its state says where the backlog is', () => {
    const { reading, requests, ...passed } = run(BACKLOG_FROM_SECONDS, NOW);
    expect(passed).toMatchObject({ complete: false, isBacklog: true });
    expect(requests).toBe(1);
    const report: FetchReport = {
      ...walked(),
      trail: reading.trail,
      news: reading.news,
      frontier: BASE + 90_100,
      stripeNow: passed.readAt,
      caughtUp: passed.complete,
      failedPasses: 0,
      passes: 1,
      lateness: [],
      apiVersion: null,
      reanchored: null,
    };
    const state = afterFetch(opened(), report, LIMITS);
    expect(backlogOf(state)).toMatchObject({ from: BASE + 90_100, to: NOW - 5 });
  });

  it('whose events are recent reads them as news, whatever their number', () => {
    expect(run(BACKLOG_FROM_SECONDS, BASE + 90_000 + BACKLOG_FROM_SECONDS + 100)).toMatchObject({
      complete: true,
      isBacklog: false,
    });
  });

  it('that is to leave none reads on to its cap', () => {
    expect(run(null, NOW)).toMatchObject({ complete: false, isBacklog: false, requests: 10 });
  });
});
