import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Running } from '../cli/cli-process.js';
import { createWorld, type World } from '../cli/world.js';
import { eventually } from '../support/sync.js';
import { deliverTo, eventText, idOf } from './receiver-room.js';
import { SECRET } from './signing.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world?.close());

async function receiving(...more: readonly string[]): Promise<{ worker: Running; port: number }> {
  const worker = world.start(['worker', '--webhooks', '0', ...more], { STRIPE_WEBHOOK_SECRET: SECRET });
  await worker.says(/the worker runs/);
  return { worker, port: Number(/"webhooks":(\d+)/.exec(worker.output())?.[1]) };
}

describe('worker --webhooks', () => {
  it('takes a delivery, hands it on, tells its health, and ends with exit code 0', async () => {
    const { worker, port } = await receiving();
    const alias = world.alias();
    expect((await deliverTo(port, alias, eventText())).status).toBe(404);
    expect((await world.run(['start', alias, '--no-backfill'])).code).toBe(0);
    const customer = world.simulator.create('customer', { email: 'jenny@shop.example' });
    const body = eventText({ data: { object: customer } });
    // The command says that the workflow runs; its first activity opens the account.
    await eventually(async () => {
      const { status, text } = await deliverTo(port, alias, body);
      return text === 'stored' ? null : `${status} ${text}`;
    });
    await eventually(async () => {
      const { rows } = await world.database.pool.query(
        'select source, outcome from stripe_sync.events where account = $1 and id = $2',
        [alias, idOf(body)],
      );
      expect(rows).toMatchObject([{ source: 'webhook' }]);
      return rows[0]?.outcome === null ? 'it is not applied yet' : null;
    });
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
    await world.run(['stop', alias]);
    const { code, stdout, stderr } = await worker.end('SIGTERM');
    expect(code).toBe(0);
    expect(stdout + stderr).toMatch(new RegExp(`"${alias}":\\{"not started":\\d+,"accepted":1\\}`));
    expect(stdout + stderr).not.toMatch(/whsec_|jenny/);
    await expect(deliverTo(port, alias, body)).rejects.toThrow(/ECONNREFUSED/);
  });

  it('with --dedupe payload makes the ids itself', async () => {
    const { worker, port } = await receiving('--dedupe', 'payload');
    const alias = world.alias();
    await world.database.pool.query(
      'insert into stripe_sync.accounts (account, cursor_created) values ($1, now())',
      [alias],
    );
    const created = Math.floor(Date.now() / 10_000) * 10;
    const data = { object: { id: 'cus_1', object: 'customer' } };
    const texts = [1, 2].map((id) => eventText({ id: `evt_${id}`, created, data }));
    const replies = [];
    for (const text of texts) replies.push((await deliverTo(port, alias, text)).text);
    expect(replies).toEqual(['stored', 'stored before']);
    await worker.end('SIGTERM');
  });

  it.each([
    { args: ['--webhooks', 'x'], code: 2, says: /whole number from 0 to 65535/ },
    { args: ['--webhooks-host', '::'], code: 2, says: /--webhooks-host needs --webhooks PORT/ },
    { args: ['--dedupe', 'payload'], code: 2, says: /--dedupe needs --webhooks PORT/ },
    { args: ['--webhooks', '0', '--dedupe', 'id'], code: 2, says: /payload/ },
    {
      args: ['--webhooks', '0'],
      code: 1,
      says: /no secret to check webhooks with: set STRIPE_WEBHOOK_SECRET/,
    },
  ])('$args is refused with the reason', async ({ args, code, says }) => {
    const result = await world.run(['worker', ...args]);
    expect(result.code).toBe(code);
    expect(result.stderr).toMatch(says);
  });
});
