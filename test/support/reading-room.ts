import type { ActivityDeps } from '../../activities/deps.js';
import { retrieveObject } from '../../activities/retrieve-object.js';
import { createStripeClient, type StripeResponse } from '../../src/stripe/client.js';
import { createActivityRoom, type RoomOptions } from './activity-room.js';
import type { TestDatabase } from './database.js';

/** A room in which single reads can be made, and which notes the paths that were asked for. */
export async function createReadingRoom(database: TestDatabase, options: RoomOptions = {}) {
  const room = await createActivityRoom(database, options);
  const client = createStripeClient({ apiKey: room.simulator.apiKey, baseUrl: room.simulator.url });
  const paths: string[] = [];
  const versions: (string | undefined)[] = [];
  const { between = (path, get) => get(path) } = options;
  const write = (fields: Record<string, unknown>, message: string) => {
    room.logged.push(JSON.stringify({ ...fields, message }));
  };
  const deps: ActivityDeps = {
    pool: database.pool,
    stripe: () => ({
      ...client,
      get: (path, request) => {
        paths.push(path);
        versions.push(request?.apiVersion);
        return between(path, (asked) => client.get(asked, request));
      },
    }),
    log: { info: write, warn: write, error: write },
    stopping: room.stopping.signal,
  };
  const read = (object: string, objectId: string, over: { apiVersion?: string; signal?: AbortSignal } = {}) =>
    retrieveObject(
      deps,
      { account: room.account, object, objectId },
      { apiVersion: over.apiVersion ?? null, signal: over.signal ?? new AbortController().signal },
    );
  return { ...room, deps, paths, versions, read };
}

export type ReadingRoom = Awaited<ReturnType<typeof createReadingRoom>>;

/** The response with another body, as the client would have handed it on. */
export function withText(response: StripeResponse, text: string): StripeResponse {
  return { ...response, text, body: JSON.parse(text) as unknown };
}
