import { describe, expect, it } from 'vitest';
import { judgeLag, type LagVerdict, type LatenessFacts } from '../../src/domain/lag-verdict.js';
import { LATENESS_PERCENTS, latenessAdvice, supportsPercent } from '../../src/domain/lateness-advice.js';
import { CALM, LATE, LEAKED, NOTHING } from './lateness-facts.js';

interface Case {
  readonly title: string;
  readonly facts: LatenessFacts;
  readonly verdict: LagVerdict;
  readonly says: string;
}

const LISTED_LATE =
  '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 41 s.';
const LEAKS =
  'events came behind the cursor (41 s at worst): the rescan found them, so they are not missing, only late.';

/** One that only the rescan found, at 580 s. */
const LEAKED_ONCE: LatenessFacts = { ...LATE, worstSeconds: 580, leaks: { count: 1, worstSeconds: 580 } };
const VERY_LATE =
  '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 580 s. One event came ' +
  'behind the cursor (within 580 s): the rescan found it, so it is not missing, only late.';

const CASES: readonly Case[] = [
  {
    title: 'no events at all',
    facts: NOTHING,
    verdict: { kind: 'nothing measured' },
    says:
      'No events were measured yet: none came in this time. Ask again once some have come while the account runs; ' +
      'until then the lag of 5 s is a guess.',
  },
  {
    title: 'only events that came while nobody looked, and an account that never had a lag',
    facts: { ...NOTHING, notMeasured: 312, lagSeconds: null, limits: null },
    verdict: { kind: 'nothing measured' },
    says:
      'No events were measured yet: of the 312 that came, nobody had looked at the list shortly before. Ask again ' +
      'once some have come while the account runs.',
  },
  {
    title: 'a single event',
    facts: { ...CALM, measured: 1, percentiles: [] },
    verdict: { kind: 'enough' },
    says:
      'The one event that was measured was listed within 2 s of its second. The lag is 5 s: enough, with 3 s to ' +
      'spare. So few events are a hint at best: ask again later.',
  },
  {
    title: 'few events',
    facts: { ...CALM, measured: 50, percentiles: [{ percent: 90, seconds: 1 }] },
    verdict: { kind: 'enough' },
    says:
      'All 50 events that were measured were listed within 2 s of their second. The lag is 5 s: enough, with 3 s to ' +
      'spare. So few events are a hint at best: ask again later.',
  },
  {
    title: 'events that were listed in their own second, which is as fine as the clock is',
    facts: { ...CALM, percentiles: [{ percent: 50, seconds: 0 }], worstSeconds: 0, worstAtLeastSeconds: 0 },
    verdict: { kind: 'enough' },
    says:
      'All 48,112 events that were measured were listed within 1 s of their second. The lag is 5 s: enough, with 4 s ' +
      'to spare.',
  },
  {
    title: 'many events in time',
    facts: CALM,
    verdict: { kind: 'enough' },
    says:
      'All 48,112 events that were measured were listed within 2 s of their second. The lag is 5 s: enough, with 3 s ' +
      'to spare.',
  },
  {
    title: 'a lag that is just as long as the latest event was late',
    facts: { ...LATE, lagSeconds: 41, limits: { floorSeconds: 41, maxSeconds: 300 } },
    verdict: { kind: 'enough' },
    says: `${LISTED_LATE} The lag is 41 s: just enough.`,
  },
  {
    title: 'a lag that has widened and will narrow again to too little',
    facts: { ...LATE, lagSeconds: 63 },
    verdict: { kind: 'widened', lag: 41 },
    says:
      `${LISTED_LATE} The lag has widened to 63 s by itself: enough, with 22 s to spare. After an hour without late ` +
      'events it narrows again, down to 5 s; `--lag 41s` would start there and stay. It takes a stop and a start.',
  },
  {
    title: 'leaks, after which the lag has widened',
    facts: { ...LEAKED, lagSeconds: 63 },
    verdict: { kind: 'widened', lag: 41 },
    says:
      `${LISTED_LATE} 3 ${LEAKS} The lag has widened to 63 s by itself: enough, with 22 s to spare. After an hour ` +
      'without late events it narrows again, down to 5 s; `--lag 41s` would start there and stay. It takes a stop ' +
      'and a start.',
  },
  {
    title: 'a lag that narrows, and what it narrows to is enough',
    facts: { ...CALM, lagSeconds: 38 },
    verdict: { kind: 'narrowing' },
    says:
      'All 48,112 events that were measured were listed within 2 s of their second. The lag had widened; it is 38 s ' +
      'and narrows by itself down to 5 s, which is enough too.',
  },
  {
    title: 'a late event after which the lag has narrowed again',
    facts: LATE,
    verdict: { kind: 'too short', lag: 41 },
    says:
      `${LISTED_LATE} The lag is 5 s: one as late could come behind the cursor, and wait for the rescan. ` +
      '`--lag 41s` would cover it. It takes a stop and a start.',
  },
  {
    title: 'leaks after which the lag has narrowed again',
    facts: LEAKED,
    verdict: { kind: 'too short', lag: 41 },
    says:
      `${LISTED_LATE} 3 ${LEAKS} The lag is 5 s: too short for one as late. \`--lag 41s\` would have covered all ` +
      'that was measured. It takes a stop and a start.',
  },
  {
    title: 'leaks of which only the rescan knows, and which the lag may cover',
    facts: { ...LEAKED, worstAtLeastSeconds: 6 },
    verdict: { kind: 'too short', lag: 41 },
    says:
      `${LISTED_LATE} 3 ${LEAKS} The lag is 5 s: too short for one as late. \`--lag 41s\` would have covered all ` +
      'that was measured (less may do: the latest event was between 6 s and 41 s late). It takes a stop and a start.',
  },
  {
    title: 'leaks that a longer floor covers since',
    facts: { ...LEAKED, lagSeconds: 60, limits: { floorSeconds: 60, maxSeconds: 300 } },
    verdict: { kind: 'enough' },
    says: `${LISTED_LATE} 3 ${LEAKS} The lag is 60 s by now: enough, with 19 s to spare.`,
  },
  {
    title: 'a floor far above what was needed',
    facts: { ...CALM, lagSeconds: 60, limits: { floorSeconds: 60, maxSeconds: 300 } },
    verdict: { kind: 'generous', lag: 5 },
    says:
      'All 48,112 events that were measured were listed within 2 s of their second. The lag is 60 s, far more than ' +
      'was needed: `--lag 5s` would do. A long lag holds nothing up and only costs some requests more, so there is ' +
      'no hurry. It takes a stop and a start.',
  },
  {
    title: 'a floor far above what a few events needed',
    facts: { ...CALM, measured: 999, lagSeconds: 60, limits: { floorSeconds: 60, maxSeconds: 300 } },
    verdict: { kind: 'enough' },
    says:
      'All 999 events that were measured were listed within 2 s of their second. The lag is 60 s: enough, with 58 s ' +
      'to spare.',
  },
  {
    title: 'a lag at its cap, and leaks still',
    facts: {
      ...LATE,
      worstSeconds: 420,
      worstAtLeastSeconds: 350,
      leaks: { count: 1, worstSeconds: 420 },
      lagSeconds: 300,
    },
    verdict: { kind: 'capped', maxLag: 420 },
    says:
      '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 420 s. One event came ' +
      'behind the cursor (within 420 s): the rescan found it, so it is not missing, only late. The lag is 300 s, its ' +
      'cap (`--max-lag`): at least 350 s were needed. `--max-lag 420s` would let it widen that far. It takes a stop ' +
      'and a start.',
  },
  {
    title: 'a lag at its cap, and a leak of which only the rescan knows',
    facts: { ...LEAKED_ONCE, worstAtLeastSeconds: 6, lagSeconds: 300 },
    verdict: { kind: 'unclear' },
    says:
      `${VERY_LATE} The lag is 300 s, its ` +
      'cap (`--max-lag`). Whether that is enough is not known: the latest event was between 6 s and 580 s late. If ' +
      'this goes on, start with a longer `--lag`.',
  },
  {
    title: 'a leak in whose place nobody had looked before',
    facts: { ...LEAKED_ONCE, worstAtLeastSeconds: 0 },
    verdict: { kind: 'unclear' },
    says:
      `${VERY_LATE} The lag is 5 s, and ` +
      'widens to 300 s at most (`--max-lag`). Whether that is enough is not known: the latest event was at most ' +
      '580 s late. If this goes on, start with a longer `--lag`.',
  },
  {
    title: 'an event that is later than any lag should wait',
    facts: {
      ...LATE,
      worstSeconds: 7_300,
      worstAtLeastSeconds: 7_000,
      leaks: { count: 2, worstSeconds: 7_300 },
      lagSeconds: 300,
    },
    verdict: { kind: 'beyond' },
    says:
      '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 7,300 s. 2 events ' +
      'came behind the cursor (7,300 s at worst): the rescan found them, so they are not missing, only late. The lag ' +
      "is 300 s, its cap (`--max-lag`). No lag should wait for events as late as that: finding them is the rescan's " +
      'work.',
  },
  {
    title: 'a slow rhythm of looks, at which every event was there',
    facts: { ...LATE, worstSeconds: 58, worstAtLeastSeconds: 0 },
    verdict: { kind: 'held', lag: null },
    says:
      '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 58 s. The lag is 5 s, ' +
      'and it held: no event was ever seen to be missing, each was there at the first look.',
  },
  {
    title: 'an event that was missing for less than the lag, and looked for again after it',
    facts: { ...LATE, worstSeconds: 8, worstAtLeastSeconds: 4 },
    verdict: { kind: 'held', lag: 8 },
    says:
      '99.99 % of 48,112 events were listed within 2 s of their second, and the latest one within 8 s. The lag is 5 s, ' +
      'and it held: no event was seen to be missing for longer than 4 s; where it became visible between that and ' +
      '8 s, nobody looked. `--lag 8s` would be on the safe side.',
  },
  {
    title: 'an account that does not run, whose limits nobody knows',
    facts: { ...LATE, lagSeconds: 63, limits: null },
    verdict: { kind: 'enough' },
    says: `${LISTED_LATE} The lag is 63 s: enough, with 22 s to spare.`,
  },
  {
    title: 'a short lag of an account that does not run',
    facts: { ...LEAKED, limits: null },
    verdict: { kind: 'too short', lag: 41 },
    says:
      `${LISTED_LATE} 3 ${LEAKS} The lag is 5 s: too short for one as late. \`--lag 41s\` would have covered all ` +
      'that was measured. It takes a stop and a start.',
  },
  {
    title: 'an unknown lag, where the default is enough',
    facts: { ...CALM, lagSeconds: null, limits: null },
    verdict: { kind: 'no lag known', lag: null },
    says:
      'All 48,112 events that were measured were listed within 2 s of their second. The lag that an account starts ' +
      'with (5 s) is enough for that.',
  },
  {
    title: 'an unknown lag, where the default is too short',
    facts: { ...LATE, lagSeconds: null, limits: null },
    verdict: { kind: 'no lag known', lag: 41 },
    says: `${LISTED_LATE} \`--lag 41s\` would have covered them all.`,
  },
];

describe('the advice on the lag', () => {
  it.each(CASES)('is right for $title', ({ facts, verdict, says }) => {
    expect(judgeLag(facts)).toEqual(verdict);
    expect(latenessAdvice(facts)).toBe(says);
  });
});

describe('a percentile', () => {
  it.each([
    { percent: 50, events: 2 },
    { percent: 90, events: 10 },
    { percent: 99, events: 100 },
    { percent: 99.9, events: 1_000 },
    { percent: 99.99, events: 10_000 },
  ])('of $percent % stands on $events events or more', ({ percent, events }) => {
    expect(LATENESS_PERCENTS).toContain(percent);
    expect(supportsPercent(events, percent)).toBe(true);
    expect(supportsPercent(events - 1, percent)).toBe(false);
  });
});
