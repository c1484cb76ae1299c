import type { Pool } from 'pg';
import type { ListTypeInput } from '../../activities/list-type.js';
import { openBackfill } from '../../src/postgres/backfills.js';
import { readListings } from '../../src/postgres/listings.js';
import type { ActivityRoom } from '../support/activity-room.js';

export const DAY = 86_400;

export const idsOf = (rows: readonly { readonly id: string }[]) => rows.map((row) => row.id).sort();
export const lists = (room: ActivityRoom) => room.simulator.stats().requests.list;
/** Listings of types, each in a backfill that is opened for it unless it is told of one. */
export function listingsIn(pool: () => Pool) {
  /** A backfill of the room's account, as its workflow would open it. */
  function opened(room: ActivityRoom, run: string, types: readonly string[] = ['customer']): Promise<number> {
    return openBackfill(pool(), {
      account: room.account,
      workflow: `${room.account}/backfill/1`,
      run,
      reason: 'a test',
      types,
    });
  }

  async function asked(room: ActivityRoom, over: Partial<ListTypeInput> = {}): Promise<ListTypeInput> {
    return {
      account: room.account,
      object: 'customer',
      number: over.number ?? (await opened(room, 'run-1')),
      apiVersion: null,
      since: null,
      seconds: 30,
      walkers: 4,
      ...over,
    };
  }

  const list = async (room: ActivityRoom, over: Partial<ListTypeInput> = {}) =>
    room.run('listType', await asked(room, over));

  const listing = async (room: ActivityRoom, object = 'customer', number = 1) =>
    (await readListings(pool(), room.account, number, object))[0];

  return { opened, asked, list, listing };
}
