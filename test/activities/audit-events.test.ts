import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeAccount } from '../../src/postgres/account-row.js';
import { type ActivityRoom, createActivityRoom } from '../support/activity-room.js';
import { runAudit, saidOf } from '../support/audit-loop.js';
import type { TestDatabase } from '../support/database.js';
import { listedEvents } from '../support/entity-loop.js';
import { createMigratedDatabase } from '../support/migrated-database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const types = ['tax_rate'];

const end = (room: ActivityRoom, ids: readonly string[], outcome: string | null) =>
  database.pool.query('update stripe_sync.events set outcome = $3 where account = $1 and id = any($2)', [
    room.account,
    ids,
    outcome,
  ]);

/** Makes so many events, and puts all but `missing` of them into the ledger, with an end. */
async function withEvents(room: ActivityRoom, count: number) {
  for (let made = 0; made < count; made += 1) room.simulator.create('tax_rate');
  const events = await listedEvents(room.simulator);
  await room.receive(events);
  const ids = events.map(({ id }) => id);
  await end(room, ids, 'applied');
  return ids;
}

const lose = (room: ActivityRoom, id: string) =>
  database.pool.query('delete from stripe_sync.events where account = $1 and id = $2', [room.account, id]);

describe('an audit of the events', () => {
  it('names what is missing in the ledger, what waits and what is parked, and heals what is missing', async () => {
    const room = await createActivityRoom(database);
    const [missing = '', pending = '', parked = '', ignored = ''] = await withEvents(room, 230);
    await lose(room, missing);
    await end(room, [pending], null);
    await end(room, [parked], 'parked');
    await end(room, [ignored], 'ignored');
    const found = await runAudit(room, database, { types });
    expect(found.events).toMatchObject({ listed: 230, missing: 1, pending: 1, parked: 1, healed: 0 });
    expect(saidOf(found).event).toEqual([`missing ${missing}`, `parked ${parked}`, `pending ${pending}`]);
    expect(found.events.examples[0]?.note).toBe('tax_rate.created');
    expect((await room.ledger()).map(({ id }) => id)).not.toContain(missing);

    const healed = await runAudit(room, database, { types, heal: true });
    expect(saidOf(healed).event).toEqual([
      `parked ${parked} unhealed`,
      `pending ${pending} unhealed`,
      `missing ${missing} healed`,
    ]);
    const entry = (await room.ledger()).find(({ id }) => id === missing);
    // Unclaimed and without an end, so the account's loop takes it.
    expect(entry).toMatchObject({ source: 'rescan', outcome: null, claimed: false });
  });

  it('takes what arrives or ends within the lag for no difference', async () => {
    const room = await createActivityRoom(database);
    const [late = '', pending = ''] = await withEvents(room, 5);
    const events = await listedEvents(room.simulator);
    await lose(room, late);
    await end(room, [pending], null);
    const result = await runAudit(room, database, {
      types,
      beforeVerify: async () => {
        await room.receive(events);
        await end(room, [late, pending], 'applied');
      },
    });
    expect(result.events).toMatchObject({ listed: 5, missing: 0, pending: 0, examples: [] });
  });

  it('compares the window only, and nothing from before the account began', async () => {
    const room = await createActivityRoom(database);
    const created = room.now();
    const [first = ''] = await withEvents(room, 3);
    await lose(room, first);
    room.simulator.advanceClock(3_600);
    expect((await runAudit(room, database, { types, sinceSeconds: 600 })).events.listed).toBe(0);
    expect((await runAudit(room, database, { types, sinceSeconds: 7_200 })).events.missing).toBe(1);
    await writeAccount(database.pool, room.account, { cursor: null, anchor: created + 60, apiVersion: null });
    expect((await runAudit(room, database, { types, sinceSeconds: 7_200 })).events.listed).toBe(0);
  });

  it('goes on from the heartbeat of the attempt that was lost, and counts each event once', async () => {
    let lists = 0;
    const room = await createActivityRoom(database, {
      between: (path, get) => {
        if (path.includes('limit=100')) lists += 1;
        return get(lists === 3 && path.includes('limit=100') ? '/v1/events?limit=nonsense' : path);
      },
    });
    const [oldest = ''] = await withEvents(room, 350);
    await lose(room, oldest);
    const plan = await room.run('beginAudit', {
      account: room.account,
      run: 'lost',
      sinceSeconds: 3_600,
      types,
      heal: false,
    });
    const { number, from, to } = plan;
    const input = {
      account: room.account,
      number,
      window: { from, to },
      from: null,
      bound: 100,
      seconds: 60,
    };
    lists = 0;
    const first = room.begin('auditEvents', input);
    await expect(first.result).rejects.toThrow(/Stripe refuses/);
    const left = first.heartbeats.at(-1);
    expect(left).toMatchObject({ window: { done: false, listed: 200 } });
    const state = await room.run('auditEvents', input, { attempt: 2, heartbeatDetails: left });
    expect(state).toMatchObject({ window: { done: true, listed: 350 } });
    // Four pages and the one that was refused: two of them were behind it.
    expect(lists).toBe(5);
    const { rows } = await database.pool.query(
      'select id, kind from stripe_sync.audit_differences where account = $1 and number = $2',
      [room.account, number],
    );
    expect(rows).toEqual([{ id: oldest, kind: 'missing' }]);
  });
});
