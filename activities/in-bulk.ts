import type { ActivityDeps } from './deps.js';

/** The same with requests that give way to live ones. */
export function inBulk(deps: ActivityDeps): ActivityDeps {
  return {
    ...deps,
    stripe(account) {
      const client = deps.stripe(account);
      return { ...client, get: (path, options) => client.get(path, { ...options, lane: 'bulk' }) };
    },
  };
}
