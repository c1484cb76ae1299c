import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPace, type Fate, type PaceSettings, type Ticket } from '../../src/domain/pace.js';
import { BURST, DECREASE, type Lane, LIVE_SHARE, type LimitSettings } from '../../src/domain/pace-limit.js';
import { type Arrival, bucketOf, run, type Sent } from './pace-run.js';

function paced(endpoint: number, total: number, atOnce = 1_000, open = false): PaceSettings {
  return {
    total: { perSecond: total, atOnce, open },
    of: () => ({ perSecond: endpoint, atOnce, open }),
  };
}

const lane = fc.constantFrom<Lane>('live', 'bulk');
const arrivals = (lanes: fc.Arbitrary<Lane> = lane) =>
  fc
    .array(
      fc.record({ at: fc.nat({ max: 5_000 }), endpoint: fc.constantFrom('/a', '/b', '/c'), lane: lanes }),
      { maxLength: 120 },
    )
    .map((list) => list.toSorted((a, b) => a.at - b.at));
const rates = fc.record({
  endpoint: fc.integer({ min: 1, max: 30 }),
  total: fc.integer({ min: 1, max: 90 }),
});
const LONG = 10_000_000;

const timesOf = (sent: readonly Sent[]) =>
  sent.flatMap(({ sentAt }) => (sentAt === null ? [] : [sentAt])).sort((a, b) => a - b);

/** By how many requests some span of time holds more than the rate gives; a burst is what it may be. */
function excess(times: readonly number[], perSecond: number): number {
  // The most of (j + 1 - rate * t[j]) - (i - rate * t[i]) over all i <= j.
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (const [index, time] of times.entries()) {
    const level = index - (time / 1000) * perSecond;
    least = Math.min(least, level);
    most = Math.max(most, level + 1 - least);
  }
  return most;
}

const reachedBy = (sent: readonly Sent[], name: string) => sent.filter(({ endpoint }) => endpoint === name);

function settleOne(pace: ReturnType<typeof createPace>, fate: Fate, sentAt: number, now: number): void {
  const ticket = pace.ask({ endpoint: '/a', lane: 'live', patienceMs: LONG }, sentAt);
  const { granted } = pace.turn(sentAt);
  expect(granted).toEqual([ticket]);
  pace.settle(ticket, fate, now);
}

const refusal = (reason: string | null, retryAfterMs: number | null = null): Fate => ({
  reason,
  retryAfterMs,
});

describe('requests at a pace', () => {
  it('are never more than the rate and a burst of each lane, for an endpoint and for all, in any span of time', () => {
    fc.assert(
      fc.property(arrivals(), rates, fc.nat({ max: 400 }), (list, { endpoint, total }, latency) => {
        const sent = run({
          settings: paced(endpoint, total),
          arrivals: list,
          latencyMs: () => latency,
          forMs: LONG,
        });
        for (const name of ['/a', '/b', '/c']) {
          const times = timesOf(reachedBy(sent, name));
          expect(excess(times, endpoint)).toBeLessThanOrEqual(2 * BURST + 0.001);
        }
        expect(excess(timesOf(sent), total)).toBeLessThanOrEqual(2 * BURST + 0.001);
      }),
      { numRuns: 150 },
    );
  });

  it('of a backfill alone come one by one: two at once at most', () => {
    fc.assert(
      fc.property(arrivals(fc.constant('bulk')), rates, (list, { endpoint, total }) => {
        const sent = run({ settings: paced(endpoint, total), arrivals: list, forMs: LONG });
        for (const name of ['/a', '/b', '/c']) {
          expect(excess(timesOf(reachedBy(sent, name)), endpoint)).toBeLessThanOrEqual(BURST + 0.001);
        }
        expect(excess(timesOf(sent), total)).toBeLessThanOrEqual(BURST + 0.001);
      }),
      { numRuns: 100 },
    );
  });

  it('all go in the end, and those of one endpoint and lane in the order in which they came', () => {
    fc.assert(
      fc.property(arrivals(), rates, fc.nat({ max: 400 }), (list, { endpoint, total }, latency) => {
        const settings = paced(endpoint, total, 3);
        const sent = run({ settings, arrivals: list, latencyMs: () => latency, forMs: LONG });
        expect(sent).toHaveLength(list.length);
        expect(sent.filter(({ endedAt }) => endedAt === null)).toEqual([]);
        for (const name of ['/a', '/b', '/c']) {
          for (const kind of ['live', 'bulk']) {
            const times = reachedBy(sent, name).flatMap((one) => (one.lane === kind ? [one.sentAt] : []));
            expect(times).toEqual(times.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  it('are never more at once than may be', () => {
    fc.assert(
      fc.property(
        arrivals(),
        fc.integer({ min: 1, max: 10 }),
        fc.nat({ max: 2_000 }),
        (list, atOnce, latency) => {
          const settings = paced(30, 90, atOnce);
          const sent = run({
            settings,
            arrivals: list,
            latencyMs: (index) => (index * 37) % (latency + 1),
            forMs: LONG,
          });
          const steps = sent.flatMap(({ sentAt, endedAt }) => [
            { at: sentAt ?? 0, by: 1 },
            { at: endedAt ?? 0, by: -1 },
          ]);
          let running = 0;
          // Where one ends and another begins at the same moment, the end comes first.
          for (const { by } of steps.toSorted((a, b) => a.at - b.at || a.by - b.by)) {
            running += by;
            expect(running).toBeLessThanOrEqual(atOnce);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('that somebody waits for go when they would without any backfill', () => {
    fc.assert(
      fc.property(arrivals(), rates, (list, { endpoint, total }) => {
        const settings = paced(endpoint, total);
        const liveOf = (given: readonly Arrival[]) =>
          run({ settings, arrivals: given, forMs: LONG }).filter((sent) => sent.lane === 'live');
        const alone = liveOf(list.filter((one) => one.lane === 'live'));
        for (const [index, sent] of liveOf(list).entries()) {
          expect(sent.sentAt).toBeCloseTo(alone[index]?.sentAt ?? -1, 3);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('of a backfill pay for the live ones: together they keep to the rate', () => {
    const live = Array.from({ length: 100 }, (_, index) => ({
      at: index * 100,
      endpoint: '/a',
      lane: 'live' as const,
    }));
    const walkers = Array.from({ length: 8 }, () => ({ endpoint: '/a', lane: 'bulk' as const }));
    const sent = run({
      settings: paced(24, 80),
      arrivals: live,
      walkers,
      latencyMs: () => 100,
      forMs: 10_000,
    });
    expect(timesOf(sent).length).toBeGreaterThanOrEqual(238);
    expect(timesOf(sent).length).toBeLessThanOrEqual(244);
    expect(
      Math.max(...sent.filter((one) => one.lane === 'live').map((one) => (one.sentAt ?? LONG) - one.at)),
    ).toBe(0);
  });

  it('of a backfill go on while live ones take all they can: a tenth of the rate is left to them, or what an endpoint says', () => {
    const shares = fc.constantFrom(null, 0.96, 0.5);
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 30 }), fc.boolean(), shares, (rate, isTotal, liveShare) => {
        const walkers = (['live', 'bulk'] as const).flatMap((kind) =>
          Array.from({ length: 10 }, () => ({ endpoint: '/a', lane: kind })),
        );
        const { total, of } = isTotal ? paced(1_000, rate) : paced(rate, 1_000);
        const withShare = (limit: LimitSettings) =>
          liveShare === null || limit.perSecond !== rate ? limit : { ...limit, liveShare };
        const settings = { total: withShare(total), of: (name: string) => withShare(of(name)) };
        const sent = run({ settings, walkers, latencyMs: () => 50, forMs: 60_000 });
        const bulk = timesOf(sent.filter((one) => one.lane === 'bulk')).length;
        const expected = 60 * rate * (1 - (liveShare ?? LIVE_SHARE));
        expect(bulk).toBeGreaterThanOrEqual(Math.floor(expected - 4));
        expect(bulk).toBeLessThanOrEqual(Math.ceil(expected + 4));
      }),
    );
  });

  it('to one endpoint do not hold up those to another', () => {
    const walkers = Array.from({ length: 30 }, () => ({ endpoint: '/busy', lane: 'bulk' as const }));
    const sent = run({
      settings: paced(5, 80),
      walkers: [...walkers, { endpoint: '/other', lane: 'bulk' }],
      latencyMs: () => 210,
      forMs: 10_000,
    });
    expect(timesOf(reachedBy(sent, '/other')).length).toBeGreaterThanOrEqual(46);
  });

  it('share what all may have: with one walker each, no endpoint gets less than half of its part', () => {
    const endpoints = ['/a', '/b', '/c', '/d', '/e'];
    const sent = run({
      settings: paced(24, 20),
      walkers: endpoints.map((endpoint) => ({ endpoint, lane: 'bulk' as const })),
      latencyMs: (index) => 20 + ((index * 53) % 150),
      forMs: 30_000,
    });
    for (const endpoint of endpoints) expect(timesOf(reachedBy(sent, endpoint)).length).toBeGreaterThan(60);
  });
});

describe('what Stripe says', () => {
  it('lowers the rate of the endpoint, or of all', () => {
    const pace = createPace(paced(20, 80));
    settleOne(pace, refusal('endpoint-rate'), 0, 10);
    expect(pace.rates(10)).toEqual({ total: 80, endpoints: { '/a': 20 * DECREASE } });
    settleOne(pace, refusal('global-rate'), 2_000, 2_010);
    expect(pace.rates(2_010).total).toBe(80 * DECREASE);
    settleOne(pace, refusal('resource-specific'), 60_000, 60_010);
    expect(pace.rates(60_010).endpoints['/a']).toBeLessThan(15);
  });

  it('lowers it once a second, and not for what was sent before', () => {
    const pace = createPace(paced(20, 80));
    const ask = (now: number): Ticket => pace.ask({ endpoint: '/a', lane: 'live', patienceMs: LONG }, now);
    const [early, same] = [ask(0), ask(0)];
    pace.turn(0);
    pace.settle(early, refusal('endpoint-rate'), 100);
    expect(pace.rates(100).endpoints['/a']).toBe(14);
    settleOne(pace, refusal('endpoint-rate'), 600, 700);
    expect(pace.rates(700).endpoints['/a']).toBe(14);
    pace.settle(same, refusal('endpoint-rate'), 5_000);
    expect(pace.rates(5_000).endpoints['/a']).toBeGreaterThan(14);
    settleOne(pace, refusal('endpoint-rate'), 5_100, 5_200);
    expect(pace.rates(5_200).endpoints['/a']).toBeLessThan(12);
  });

  it('never stops a lane: the rate falls to one a second at least', () => {
    const pace = createPace(paced(24, 80));
    for (let at = 0; at < 60_000; at += 1_200) settleOne(pace, refusal('endpoint-rate'), at, at + 1);
    expect(pace.rates(58_801).endpoints['/a']).toBe(1);
  });

  it('is forgotten by and by: the rate grows by steps up to its maximum and no further', () => {
    const pace = createPace(paced(24, 80));
    for (let at = 0; at < 3_000; at += 1_100) settleOne(pace, refusal('endpoint-rate'), at, at + 1);
    let last = pace.rates(3_000).endpoints['/a'] ?? 0;
    expect(last).toBeLessThan(9);
    for (let now = 3_500; now < 200_000; now += 500) {
      const rate = pace.rates(now).endpoints['/a'] ?? 0;
      expect(rate).toBeGreaterThanOrEqual(last);
      expect(rate - last).toBeLessThanOrEqual(24 / 50 + 1e-9);
      expect(rate).toBeLessThanOrEqual(24);
      last = rate;
    }
    expect(last).toBe(24);
  });

  it('lowers nothing where it gives no reason: that is a locked object', () => {
    const pace = createPace(paced(24, 80));
    settleOne(pace, refusal(null, 60_000), 0, 10);
    settleOne(pace, 'other', 20, 30);
    settleOne(pace, 'ok', 100, 110);
    expect(pace.rates(110)).toEqual({ total: 80, endpoints: { '/a': 24 } });
  });

  it('about requests at once lowers how many there are, and the rate stays', () => {
    const run24 = (reason: string) => {
      const pace = createPace(paced(1_000, 1_000, 20));
      for (let index = 0; index < 30; index += 1)
        pace.ask({ endpoint: '/a', lane: 'bulk', patienceMs: LONG }, 0);
      const running = [0, 10, 20, 30, 40, 50, 60, 70, 80].flatMap((now) => pace.turn(now).granted);
      // An eighth is the live lane's.
      expect(running).toHaveLength(17);
      for (const ticket of running) pace.settle(ticket, refusal(reason), 100);
      expect(pace.rates(100)).toEqual({ total: 1_000, endpoints: { '/a': 1_000 } });
      return [200, 210, 220, 230, 240, 250].flatMap((now) => pace.turn(now).granted).length;
    };
    expect(run24('endpoint-concurrency')).toBeLessThan(12);
    expect(run24('global-concurrency')).toBeLessThan(12);
    expect(run24('endpoint-concurrency')).toBeGreaterThan(5);
  });

  it('about a wait is heeded: the endpoint rests, or all do, and requests that cannot wait so long are told', () => {
    const pace = createPace(paced(24, 80));
    settleOne(pace, refusal('endpoint-rate', 10_000), 0, 100);
    const other = pace.ask({ endpoint: '/b', lane: 'bulk', patienceMs: 0 }, 200);
    const patient = pace.ask({ endpoint: '/a', lane: 'bulk', patienceMs: LONG }, 200);
    const hasty = pace.ask({ endpoint: '/a', lane: 'live', patienceMs: 5_000 }, 200);
    expect(pace.turn(200)).toEqual({
      granted: [other],
      tooLong: [{ ticket: hasty, hold: { until: 10_100, reason: 'endpoint-rate' } }],
      wakeAt: 10_100,
    });
    expect(pace.turn(10_099).granted).toEqual([]);
    expect(pace.turn(10_100).granted).toEqual([patient]);
    pace.settle(other, refusal('global-rate', 1_000), 11_000);
    const last = pace.ask({ endpoint: '/c', lane: 'live', patienceMs: 1_000 }, 11_000);
    expect(pace.turn(11_500)).toEqual({ granted: [], tooLong: [], wakeAt: 12_000 });
    expect(pace.turn(12_100).granted).toEqual([last]);
  });

  it('sets the rate of a server that has none: open until the first refusal', () => {
    const pace = createPace(paced(24, 80, 1_000, true));
    for (let index = 0; index < 500; index += 1)
      pace.ask({ endpoint: '/a', lane: 'bulk', patienceMs: LONG }, 0);
    const { granted } = pace.turn(0);
    expect(granted).toHaveLength(500);
    expect(pace.rates(0)).toEqual({ total: Infinity, endpoints: { '/a': Infinity } });
    for (const ticket of granted) pace.settle(ticket, refusal('endpoint-rate'), 10);
    expect(pace.rates(10)).toEqual({ total: Infinity, endpoints: { '/a': 24 * DECREASE } });
    expect(pace.rates(600_000).endpoints['/a']).toBe(24);
  });

  it('is followed: at any limit of Stripe’s a backfill gets most of it, and is hardly ever refused', () => {
    const figures: string[] = [];
    for (const [allowed, reason] of [
      [25, 'endpoint-rate'],
      [20, 'endpoint-rate'],
      [12, 'endpoint-rate'],
      [5, 'endpoint-rate'],
      [15, 'global-rate'],
    ] as const) {
      const walkers = Array.from({ length: 8 }, () => ({ endpoint: '/a', lane: 'bulk' as const }));
      const sent = run({
        settings: paced(24, 80),
        walkers,
        stripe: bucketOf(allowed, reason),
        latencyMs: (index) => 60 + ((index * 71) % 120),
        forMs: 300_000,
      }).filter(({ fate }) => fate !== null);
      const refused = (from: number) => {
        const asked = sent.filter(({ sentAt }) => (sentAt ?? 0) >= from);
        return 1 - asked.filter(({ fate }) => fate === 'ok').length / asked.length;
      };
      const perSecond = sent.filter(({ fate }) => fate === 'ok').length / 300;
      figures.push(
        `${reason} ${allowed}/s: ${perSecond.toFixed(1)}/s, ${(100 * refused(0)).toFixed(2)} % refused, ` +
          `${(100 * refused(20_000)).toFixed(2)} % once it is found`,
      );
      expect.soft(perSecond).toBeGreaterThan(0.85 * Math.min(allowed, 24));
      expect.soft(refused(0)).toBeLessThan(0.05);
      expect.soft(refused(20_000)).toBeLessThan(0.02);
    }
    console.log(figures.join('\n'));
  });
});
