/** How late Stripe's events list was measured to be, and what follows for the lag, in words. */
import { DEFAULT_LAG } from './lag.js';
import { judgeLag, type LagVerdict, type LatenessFacts } from './lag-verdict.js';

export const LATENESS_PERCENTS = [50, 90, 99, 99.9, 99.99] as const;

/** Whether a percentile of so many events leaves at least one of them out: 99.9 needs a thousand. */
export function supportsPercent(events: number, percent: number): boolean {
  // In hundredths of a percent, because 100 - 99.99 is no exact number.
  return events * (10_000 - Math.round(percent * 100)) >= 10_000;
}

/** Fewer events than this say little about the next ones. */
const FEW_EVENTS = 100;

/** The verdict for people: what was measured, what came behind the cursor, whether the lag is enough. */
export function latenessAdvice(facts: LatenessFacts): string {
  return [measuredText(facts), leaksText(facts), verdictText(facts, judgeLag(facts))]
    .filter((sentence) => sentence !== '')
    .join(' ');
}

function measuredText({ measured, notMeasured, percentiles, worstSeconds }: LatenessFacts): string {
  if (measured === 0 || worstSeconds === null) {
    return notMeasured === 0
      ? 'No events were measured yet: none came in this time.'
      : `No events were measured yet: of ${notMeasured === 1 ? 'the one' : `the ${count(notMeasured)}`} that came, ` +
          'nobody had looked at the list shortly before.';
  }
  const worst = within(worstSeconds);
  const finest = percentiles.at(-1);
  if (measured === 1) return `The one event that was measured was listed within ${worst} of its second.`;
  if (measured < FEW_EVENTS || finest === undefined || finest.seconds === worstSeconds) {
    return `All ${count(measured)} events that were measured were listed within ${worst} of their second.`;
  }
  return (
    `${finest.percent} % of ${count(measured)} events were listed within ${within(finest.seconds)} of their second, ` +
    `and the latest one within ${worst}.`
  );
}

function leaksText({ leaks }: LatenessFacts): string {
  if (leaks.count === 0 || leaks.worstSeconds === null) return '';
  const worst = `${count(leaks.worstSeconds)} s`;
  return leaks.count === 1
    ? `One event came behind the cursor (within ${worst}): the rescan found it, so it is not missing, only late.`
    : `${count(leaks.count)} events came behind the cursor (${worst} at worst): the rescan found them, so they ` +
        'are not missing, only late.';
}

function verdictText(facts: LatenessFacts, verdict: LagVerdict): string {
  const { measured, leaks, limits } = facts;
  const worst = facts.worstSeconds ?? 0;
  const atLeast = facts.worstAtLeastSeconds ?? 0;
  const lag = facts.lagSeconds ?? 0;
  const left = lag - Math.max(1, worst);
  const spare = left > 0 ? `enough, with ${count(left)} s to spare` : 'just enough';
  const hint = measured < FEW_EVENTS ? ' So few events are a hint at best: ask again later.' : '';
  switch (verdict.kind) {
    case 'nothing measured':
      return facts.lagSeconds === null
        ? 'Ask again once some have come while the account runs.'
        : `Ask again once some have come while the account runs; until then the lag of ${count(lag)} s is a guess.`;
    case 'no lag known':
      if (worst <= DEFAULT_LAG.floorSeconds) {
        return `The lag that an account starts with (${DEFAULT_LAG.floorSeconds} s) is enough for that.${hint}`;
      }
      return verdict.lag === null
        ? `That is longer than a lag grows by itself (${DEFAULT_LAG.maxSeconds} s, see \`--max-lag\`).`
        : `\`--lag ${verdict.lag}s\` would have covered them all.`;
    case 'enough':
      return `The lag is ${count(lag)} s${leaks.count > 0 ? ' by now' : ''}: ${spare}.${hint}`;
    case 'widened':
      return (
        `The lag has widened to ${count(lag)} s by itself: ${spare}. After an hour without late events it narrows ` +
        `again, down to ${limits?.floorSeconds} s; \`--lag ${verdict.lag}s\` would start there and stay.${RESTART}`
      );
    case 'narrowing':
      return (
        `The lag had widened; it is ${count(lag)} s and narrows by itself down to ${limits?.floorSeconds} s, which ` +
        `is enough too.${hint}`
      );
    case 'generous':
      return (
        `The lag is ${count(lag)} s, far more than was needed: \`--lag ${verdict.lag}s\` would do. A long lag holds ` +
        `nothing up and only costs some requests more, so there is no hurry.${RESTART}`
      );
    case 'held':
      return `The lag is ${count(lag)} s, and it held: ${heldText(atLeast, worst, verdict.lag)}${hint}`;
    case 'too short':
      return leaks.count > 0
        ? `The lag is ${count(lag)} s: too short for one as late. \`--lag ${verdict.lag}s\` would have covered all ` +
            `that was measured${lessMayDo(atLeast, worst)}.${RESTART}`
        : `The lag is ${count(lag)} s: one as late could come behind the cursor, and wait for the rescan. ` +
            `\`--lag ${verdict.lag}s\` would cover it.${RESTART}`;
    case 'capped':
      return (
        `${lagAndCap(facts)}: at least ${count(atLeast)} s were needed. ` +
        `\`--max-lag ${verdict.maxLag}s\` would let it widen that far.${RESTART}`
      );
    case 'unclear':
      return (
        `${lagAndCap(facts)}. Whether that is enough is not known: the latest event was ` +
        `${betweenText(atLeast, worst)} late. If this goes on, start with a longer \`--lag\`.`
      );
    case 'beyond':
      return `${lagAndCap(facts)}. No lag should wait for events as late as that: finding them is the rescan's work.`;
  }
}

const RESTART = ' It takes a stop and a start.';

/** A rescan comes long after the cursor, so it tells little about how late an event really was. */
function lessMayDo(atLeast: number, worst: number): string {
  if (2 * atLeast >= worst) return '';
  return ` (less may do: the latest event was ${betweenText(atLeast, worst)} late)`;
}

function betweenText(atLeast: number, atMost: number): string {
  return `${atLeast > 0 ? `between ${count(atLeast)} s and` : 'at most'} ${count(atMost)} s`;
}

/** Each place in the list is looked at again when its age has doubled, so what is late is found somewhat later. */
function heldText(atLeast: number, worst: number, lag: number | null): string {
  if (atLeast === 0) return 'no event was ever seen to be missing, each was there at the first look.';
  const safe = lag === null ? '' : ` \`--lag ${lag}s\` would be on the safe side.`;
  return (
    `no event was seen to be missing for longer than ${count(atLeast)} s; where it became visible between that and ` +
    `${count(worst)} s, nobody looked.${safe}`
  );
}

function lagAndCap({ lagSeconds, limits }: LatenessFacts): string {
  const lag = lagSeconds ?? 0;
  const cap = limits?.maxSeconds ?? Math.max(DEFAULT_LAG.maxSeconds, lag);
  return lag >= cap
    ? `The lag is ${count(lag)} s, its cap (\`--max-lag\`)`
    : `The lag is ${count(lag)} s, and widens to ${count(cap)} s at most (\`--max-lag\`)`;
}

/** Stripe's clock has whole seconds, so there is nothing below one. */
export function within(seconds: number): string {
  return `${count(Math.max(1, seconds))} s`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
