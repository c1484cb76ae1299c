import { randomBytes } from 'node:crypto';
import { Client, Connection, ScheduleNotFoundError } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  DEFAULT_SCHEDULES,
  type SCHEDULES,
  type ScheduledAccount,
  scheduleId,
} from '../../src/temporal/schedule-plans.js';
import {
  completeSchedules,
  ensureSchedules,
  pauseSchedules,
  readSchedules,
  removeSchedules,
} from '../../src/temporal/schedules.js';
import { clientThatIsRefused } from '../support/refusing-client.js';

const DAY = 86_400;
let client: Client;
let account: string;
const accounts: string[] = [];

beforeAll(async () => {
  client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }) });
});
afterEach(async () => {
  for (const each of accounts.splice(0)) await removeSchedules(client, each);
});
afterAll(() => client.connection.close());

function scheduled(over: Partial<ScheduledAccount['settings']> = {}, rest: Partial<ScheduledAccount> = {}) {
  return {
    account,
    taskQueue: 'queue',
    types: null,
    settings: { ...DEFAULT_SCHEDULES, ...over },
    searchAttributes: true,
    ...rest,
  };
}

function named(): string {
  account = `schedules-${randomBytes(4).toString('hex')}`;
  accounts.push(account);
  return account;
}

const describeOf = (name: (typeof SCHEDULES)[number]) =>
  client.schedule.getHandle(scheduleId(account, name)).describe();

describe('the schedules of an account', () => {
  it('are a daily refresh and a daily pruning unless told otherwise', async () => {
    named();
    await ensureSchedules(client, scheduled());
    const { refresh, prune, audit } = await readSchedules(client, account);
    expect(audit).toBeNull();
    const now = Date.now() / 1000;
    for (const state of [refresh, prune]) {
      expect(state).toMatchObject({ everySeconds: DAY, paused: false, lastAt: null });
      expect(state?.nextAt).toBeGreaterThan(now - 5);
      expect(state?.nextAt).toBeLessThan(now + DAY + 600);
    }
  });

  it('say what they start, how late that may be, and skip what would overlap', async () => {
    named();
    await ensureSchedules(
      client,
      scheduled({ auditSeconds: 7 * DAY, auditHeal: true }, { types: ['balance'] }),
    );
    const refresh = await describeOf('refresh');
    expect(refresh.scheduleId).toBe(`${account}/refresh`);
    expect(refresh.action).toMatchObject({
      workflowType: 'refresh',
      workflowId: `${account}/refresh`,
      taskQueue: 'queue',
      args: [{ account, everySeconds: DAY, types: ['balance'] }],
    });
    expect(refresh.policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 3_600_000 });
    expect(refresh.spec.jitter).toBe(300_000);
    expect((await describeOf('prune')).action).toMatchObject({
      workflowType: 'prune',
      args: [{ account, eventsSeconds: 30 * DAY, changesSeconds: 30 * DAY }],
    });
    expect((await describeOf('audit')).action).toMatchObject({
      workflowType: 'audit',
      args: [{ account, sinceSeconds: 7 * DAY + 3_600, types: ['balance'], heal: true }],
    });
  });

  it('come at another time for each account, and at the same after a restart', async () => {
    const times = new Map<string, number>();
    const offsets: number[] = [];
    for (let each = 0; each < 4; each += 1) {
      const name = named();
      await ensureSchedules(client, scheduled());
      const { spec } = await describeOf('refresh');
      times.set(name, spec.intervals?.[0]?.offset ?? -1);
    }
    offsets.push(...times.values());
    expect(new Set(offsets).size).toBe(4);
    await removeSchedules(client, account);
    await ensureSchedules(client, scheduled());
    expect((await describeOf('refresh')).spec.intervals?.[0]?.offset).toBe(times.get(account));
  });

  it('follow what the account is started with the next time', async () => {
    named();
    await ensureSchedules(client, scheduled({ auditSeconds: DAY }));
    await ensureSchedules(
      client,
      scheduled(
        { refreshSeconds: 3_600, auditSeconds: null, keepEventsSeconds: null },
        { taskQueue: 'other' },
      ),
    );
    const { refresh, audit } = await readSchedules(client, account);
    expect(refresh?.everySeconds).toBe(3_600);
    expect(audit).toBeNull();
    expect((await describeOf('prune')).action).toMatchObject({
      taskQueue: 'other',
      args: [{ account, eventsSeconds: null, changesSeconds: 30 * DAY }],
    });
    await ensureSchedules(client, scheduled({ refreshSeconds: null }));
    expect((await readSchedules(client, account)).refresh).toBeNull();
  });

  it('are paused and resumed with a note, those that there are', async () => {
    named();
    await ensureSchedules(client, scheduled());
    await pauseSchedules(client, account, true, 'a person paused it');
    expect(await readSchedules(client, account)).toMatchObject({
      refresh: { paused: true, nextAt: null },
      prune: { paused: true, nextAt: null },
      audit: null,
    });
    expect((await describeOf('refresh')).state.note).toBe('a person paused it');
    await pauseSchedules(client, account, false, 'and resumed it');
    expect(await readSchedules(client, account)).toMatchObject({
      refresh: { paused: false, nextAt: expect.any(Number) },
    });
  });

  it('run again when a paused account is stopped and started', async () => {
    named();
    await ensureSchedules(client, scheduled());
    await pauseSchedules(client, account, true, 'paused');
    await ensureSchedules(client, scheduled());
    expect((await readSchedules(client, account)).refresh?.paused).toBe(false);
  });

  it('are all gone after a removal, which may be repeated', async () => {
    named();
    await ensureSchedules(client, scheduled({ auditSeconds: DAY }));
    await removeSchedules(client, account);
    await removeSchedules(client, account);
    expect(await readSchedules(client, account)).toEqual({ refresh: null, prune: null, audit: null });
    await expect(describeOf('refresh')).rejects.toThrow(ScheduleNotFoundError);
  });

  it('are completed without touching those that are there', async () => {
    named();
    await ensureSchedules(client, scheduled({ refreshSeconds: 7_200 }));
    await client.schedule.getHandle(scheduleId(account, 'prune')).delete();
    await completeSchedules(client, scheduled({}, { paused: true }));
    const { refresh, prune } = await readSchedules(client, account);
    expect(refresh).toMatchObject({ everySeconds: 7_200, paused: false });
    expect(prune).toMatchObject({ everySeconds: DAY, paused: true });
  });

  it('can be set, and taken away, by many at once', async () => {
    named();
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        ensureSchedules(
          client,
          scheduled({ refreshSeconds: 3_600 + index, auditSeconds: index % 2 ? DAY : null }),
        ),
      ),
    );
    const { refresh, prune } = await readSchedules(client, account);
    expect(refresh?.everySeconds).toBeGreaterThanOrEqual(3_600);
    expect(prune?.everySeconds).toBe(DAY);
    await Promise.all([
      ...Array.from({ length: 4 }, () => removeSchedules(client, account)),
      ...Array.from({ length: 4 }, () => ensureSchedules(client, scheduled())),
      ...Array.from({ length: 4 }, () => pauseSchedules(client, account, true, 'paused')),
    ]);
  });

  it('are tried one and all where the server refuses one of them', async () => {
    named();
    const refusing = clientThatIsRefused(
      client,
      /createSchedule/,
      ({ scheduleId: id }) => id === `${account}/refresh`,
    );
    await expect(ensureSchedules(refusing, scheduled())).rejects.toMatchObject({
      message: expect.any(String),
    });
    const { refresh, prune } = await readSchedules(client, account);
    expect(refresh).toBeNull();
    expect(prune).not.toBeNull();
  });
});
