import { MockActivityEnvironment } from '@temporalio/testing';
import { type WalkParentsInput, type WalkParentsResult, walkParents } from '../../activities/walk-parents.js';
import { openBackfill } from '../../src/postgres/backfills.js';
import type { JsonObject } from '../../src/sandbox/simulator/index.js';
import type { RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createReadingRoom, type ReadingRoom } from '../support/reading-room.js';

export const TRANSACTION = 'customer_balance_transaction';

/** A room with a backfill under way. */
export async function createWalkRoom(
  database: TestDatabase,
  options: RoomOptions = {},
): Promise<ReadingRoom> {
  const of = await createReadingRoom(database, options);
  const backfill = { workflow: 'backfill', run: 'run', reason: 'asked for', types: [] };
  await openBackfill(database.pool, { account: of.account, ...backfill });
  return of;
}

export function begin(
  { account, deps }: ReadingRoom,
  object: string,
  over: Partial<WalkParentsInput> = {},
  heartbeatDetails?: unknown,
) {
  const heartbeats: unknown[] = [];
  const environment = new MockActivityEnvironment({
    attempt: heartbeatDetails === undefined ? 1 : 2,
    heartbeatDetails,
  });
  environment.on('heartbeat', (details: unknown) => heartbeats.push(details));
  const input = { account, object, number: 1, apiVersion: null, since: null, seconds: 60, ...over };
  const result = environment.run(walkParents(deps) as never, input as never) as Promise<WalkParentsResult>;
  return { result, heartbeats };
}

export const walk = (of: ReadingRoom, object: string, over: Partial<WalkParentsInput> = {}) =>
  begin(of, object, over).result;

/** A parent that Stripe has, with its row. */
export async function parent(
  of: ReadingRoom,
  object: string,
  fields: JsonObject = {},
  asOf = of.now() - 500,
): Promise<string> {
  const state = of.simulator.create(object, fields, { event: false, created: of.now() - 900 });
  await of.hold(object, state as { id: string }, asOf, asOf);
  return String(state.id);
}

export async function parents(of: ReadingRoom, object: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await parent(of, object));
  return ids.toSorted();
}

export const children = (of: ReadingRoom, object: string, count: number, customer: string): string[] =>
  of.simulator.createMany(object, count, { fields: { customer } });

export const idsOf = async (of: ReadingRoom, object: string) =>
  (await of.rows(object)).map(({ id }) => id).sort();
