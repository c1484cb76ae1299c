import { settleEvents } from '../src/postgres/settle-events.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';

export interface ParkInput extends EntityKey {
  readonly ids: readonly string[];
  /** What went wrong, without payload. */
  readonly reason: string;
}

/** Gives up on changes that cannot be applied, so that they hold up nothing else. Returns how many. */
export function parkChanges(deps: ActivityDeps) {
  return async ({ account, object, objectId, ids, reason }: ParkInput): Promise<number> => {
    const parked = await settleEvents(deps.pool, { account, ids, outcome: 'parked', reason });
    if (parked > 0)
      deps.log.warn({ account, object, objectId, events: parked, reason }, 'changes are parked');
    return parked;
  };
}
