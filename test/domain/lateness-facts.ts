import { DEFAULT_LAG } from '../../src/domain/lag.js';
import type { LatenessFacts } from '../../src/domain/lag-verdict.js';

/** Many events, all listed within 2 s, and a lag at its default floor. */
export const CALM: LatenessFacts = {
  measured: 48_112,
  notMeasured: 0,
  percentiles: [
    { percent: 50, seconds: 1 },
    { percent: 99.99, seconds: 2 },
  ],
  worstSeconds: 2,
  worstAtLeastSeconds: 1,
  leaks: { count: 0, worstSeconds: null },
  lagSeconds: 5,
  limits: DEFAULT_LAG,
};
/** One of them came late: missing for 40 s, there at 41 s. */
export const LATE: LatenessFacts = { ...CALM, worstSeconds: 41, worstAtLeastSeconds: 40 };
export const LEAKED: LatenessFacts = { ...LATE, leaks: { count: 3, worstSeconds: 41 } };
export const NOTHING: LatenessFacts = {
  ...CALM,
  measured: 0,
  percentiles: [],
  worstSeconds: null,
  worstAtLeastSeconds: null,
};
