import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WalkParentsResult } from '../../activities/walk-parents.js';
import { hangingRequest, type RoomOptions } from '../support/activity-room.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import type { ReadingRoom } from '../support/reading-room.js';
import { begin, children, createWalkRoom, idsOf, parent, parents, TRANSACTION, walk } from './walk-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = (options: RoomOptions = {}) => createWalkRoom(database, options);

describe('a walk that is interrupted', () => {
  it('goes on after a kill, and lists no more than what was under way twice', async () => {
    const hanging = hangingRequest();
    let answers = 0;
    let hung = 0;
    const of = await room({
      between: (path, get) => {
        answers -= 1;
        if (answers >= 0) return get(path);
        hung += 1;
        return hanging.request();
      },
    });
    const ids: string[] = [];
    for (const customer of await parents(of, 'customer', 60))
      ids.push(...children(of, TRANSACTION, 2, customer));
    const concurrency = 4;
    const kills = 5;
    let heartbeats: unknown[] = [];
    for (let attempt = 1; attempt <= kills; attempt += 1) {
      answers = 10;
      hung = 0;
      const { result, heartbeats: beats } = begin(of, TRANSACTION, { concurrency }, heartbeats.at(-1));
      void result.catch(() => undefined);
      // A process that is gone: nothing it asks for is answered any more.
      while (hung < concurrency) await new Promise((resolve) => setTimeout(resolve, 5));
      heartbeats = beats;
    }
    answers = Number.POSITIVE_INFINITY;
    const { result } = begin(of, TRANSACTION, { concurrency }, heartbeats.at(-1));
    expect(await result).toMatchObject({ done: true, parents: { done: 60, total: 60 } });
    hanging.end();
    expect(await idsOf(of, TRANSACTION)).toEqual(ids.toSorted());
    expect(of.paths.length).toBeLessThanOrEqual(60 + kills * concurrency);
    const { rows } = await database.pool.query(
      'select rows::float8, requests::float8 from stripe_sync.listings where account = $1',
      [of.account],
    );
    expect(rows).toEqual([{ rows: 120, requests: 60 }]);
  });

  it('comes to its end in slices of no time at all, a parent a slice', async () => {
    const of = await room();
    for (const customer of await parents(of, 'customer', 4)) children(of, TRANSACTION, 101, customer);
    let slices = 0;
    let result: WalkParentsResult;
    do {
      result = await walk(of, TRANSACTION, { seconds: 0 });
      slices += 1;
    } while (!result.done);
    expect(slices).toBeLessThanOrEqual(10);
    expect(of.paths).toHaveLength(8);
    expect(await of.rows(TRANSACTION)).toHaveLength(404);
  });

  it('hands in what it has when the worker stops', async () => {
    const of = await room({
      between: (path, get) => {
        if (of.paths.length === 3) of.stopping.abort();
        return get(path);
      },
    });
    for (const customer of await parents(of, 'customer', 9)) children(of, TRANSACTION, 1, customer);
    const stopped = await walk(of, TRANSACTION, { concurrency: 1 });
    expect(stopped).toMatchObject({ done: false, parents: { done: 3, total: 9 } });
  });

  it('gives way to another attempt that is on its way', async () => {
    const hanging = hangingRequest();
    const of = await room({
      between: (path, get) => (of.paths.length === 3 ? hanging.request() : get(path)),
    });
    await parents(of, 'customer', 8);
    const zombie = begin(of, TRANSACTION, { concurrency: 1 });
    while (of.paths.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(await walk(of, TRANSACTION)).toMatchObject({ done: true, parents: { done: 8, total: 8 } });
    hanging.end();
    await expect(zombie.result).rejects.toThrow();
    const { rows } = await database.pool.query(
      'select parents_done::float8, requests::float8 from stripe_sync.listings where account = $1',
      [of.account],
    );
    expect(rows).toEqual([{ parents_done: 8, requests: 8 }]);
  });
});

describe('what changes while a walk goes on', () => {
  it('passes over a parent that is gone meanwhile', async () => {
    const of = await room();
    const ids = await parents(of, 'customer', 5);
    for (const customer of ids) children(of, TRANSACTION, 1, customer);
    of.simulator.remove('customer', ids[0] ?? '', { event: false });
    of.simulator.remove('customer', ids[3] ?? '', { event: false });
    expect(await walk(of, TRANSACTION)).toMatchObject({
      done: true,
      rows: 3,
      skipped: null,
      parents: { done: 5 },
    });
  });

  it('goes on where the object that the next page begins after was deleted', async () => {
    const of = await room({
      between: async (path, get) => {
        const last = /starting_after=(\w+)/.exec(path)?.[1];
        if (last !== undefined && of.simulator.get('bank_account', last)?.deleted === false)
          of.simulator.remove('bank_account', last, { event: false });
        return get(path);
      },
    });
    const customer = await parent(of, 'customer', { default_source: 'ba_1' });
    const ids = children(of, 'bank_account', 150, customer);
    expect(await walk(of, 'bank_account')).toMatchObject({ done: true, skipped: null });
    expect(await idsOf(of, 'bank_account')).toEqual(ids.toSorted());
  });

  it('walks a parent too whose row comes behind its position', async () => {
    let late: string | null = null;
    const of = await room({
      between: async (path, get) => {
        if (of.paths.length === 3) {
          late = await lateParent('cus_000');
          children(of, TRANSACTION, 1, late);
        }
        return get(path);
      },
    });
    const lateParent = async (id: string) => {
      const state = of.simulator.create('customer', { id });
      const [event] = of.simulator.events().slice(-1);
      await of.receive([{ ...JSON.parse(JSON.stringify(await eventText(of, event?.id ?? ''))) }]);
      await of.run('applyChanges', {
        account: of.account,
        object: 'customer',
        objectId: id,
        ids: [event?.id ?? ''],
        hydrate: 'payload',
        apiVersion: null,
      });
      return String(state.id);
    };
    for (const customer of await parents(of, 'customer', 5)) children(of, TRANSACTION, 1, customer);
    expect(await walk(of, TRANSACTION, { concurrency: 1 })).toMatchObject({
      done: true,
      rows: 6,
      parents: { done: 6, total: 6 },
    });
    expect(of.paths.at(-1)).toContain('cus_000');
  });
});

/** An event as Stripe shows it. */
async function eventText(of: ReadingRoom, id: string): Promise<unknown> {
  const response = await fetch(`${of.simulator.url}/v1/events/${id}`, {
    headers: { authorization: `Bearer ${of.simulator.apiKey}` },
  });
  return response.json();
}
