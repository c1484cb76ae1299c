import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMirror, type Pace } from './life-mirror.js';
import { drawnSteps, lifeOf, textOf } from './life-model.js';

/** Set it to try more lives than a test run has time for. */
const RUNS = Number(process.env.LIVES ?? 1_500);

const pace: fc.Arbitrary<Pace> = fc.record({
  took: fc.constantFrom(0, 1, 2, 9, 25),
  looked: fc.nat(10),
  answered: fc.constantFrom(0, 5, 10, 10),
  cached: fc.boolean(),
});

const script = fc.array(
  fc.record({
    wait: fc.constantFrom(0, 0, 1, 5, 12, 40),
    op: fc.constantFrom('receive', 'receive', 'receive', 'hold', 'list', 'write'),
    picks: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }),
    page: fc.option(fc.nat(5)),
    pace,
  }),
  { maxLength: 8, size: '+1' },
);

describe('the life of one object, in any order of arrival, with pages and reads at any moment', () => {
  it.each([
    { name: 'an id that Stripe gives out once', recreatable: false },
    { name: 'an id that may be created again', recreatable: true },
  ])('ends in the state that Stripe has, and never goes back: $name', ({ recreatable }) => {
    let byEvidence = 0;
    fc.assert(
      fc.property(
        drawnSteps,
        script,
        fc.array(fc.nat(99), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        pace,
        (steps, ops, order, size, lastPace) => {
          const life = lifeOf(steps, recreatable);
          const mirror = createMirror(life);
          let calls = 0;
          for (const op of ops) {
            mirror.wait(op.wait);
            if (op.op === 'list') mirror.listPage(op.pace);
            else if (op.op === 'write') mirror.writePage(op.picks[0] ?? 0, op.pace);
            else mirror.receive(op.picks, op.op === 'hold', op.pace, op.page);
            calls += 1;
          }
          const { row, outcomes, settles, evidence } = mirror.finish(order, size, lastPace);
          const last = life.states.at(-1);
          expect(row?.deleted).toBe(last?.deleted);
          if (last?.deleted === false) expect(row?.digest).toBe(textOf(last.state));
          expect(outcomes.size).toBe(life.events.length);
          // One read settles a batch or a page, whatever they hold.
          expect(settles).toBeLessThanOrEqual(calls + life.events.length);
          byEvidence += evidence;
        },
      ),
      { numRuns: RUNS },
    );
    // The property means something only where chains were in fact relied on.
    expect(byEvidence).toBeGreaterThan(RUNS / 50);
  });
});
