/** What a worker registers, nothing else. */
export { account } from './account.js';
export { backfill } from './backfill.js';
export { entity } from './entity.js';
export { preflight } from './preflight.js';
export { rescan } from './rescan.js';
