/** What a worker registers, nothing else. */
export { account } from './account.js';
export { audit } from './audit.js';
export { backfill } from './backfill.js';
export { connected } from './connected.js';
export { entity } from './entity.js';
export { listing } from './listing.js';
export { preflight } from './preflight.js';
export { prune } from './prune.js';
export { refresh } from './refresh.js';
export { rescan } from './rescan.js';
