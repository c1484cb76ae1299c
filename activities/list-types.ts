import { listableObjects } from '../src/stripe/catalog.js';

/** Names of all objects with a top-level list. The catalog is data on disk, which a workflow does not read. */
export function listTypes() {
  return async (): Promise<string[]> => listableObjects().map((entry) => entry.object);
}
