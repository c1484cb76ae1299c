/**
 * What Temporal bills: actions per applied change in the live lane, where every change goes through an entity of its own,
 * and per idle account and hour at the usual settings. Counted from histories; heartbeats, which histories do not show,
 * from how long the activities that beat were under way; and beside it what the server itself counted.
 *
 *   npm run bench -- actions [--runs 1] [--seconds 60] [--rate 5] [--accounts 10] [--idle 150] [--json]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pollInterval } from '../src/domain/poll-interval.js';
import { DEFAULT_SETTINGS } from '../workflows/settings.js';
import { actionsText, addActions, deliveredHeartbeats, NO_ACTIONS, totalActions } from './actions-count.js';
import { inWorld, type World } from './backfill-world.js';
import { type Figure, figure, type Measured } from './figure.js';
import { changesAt, endAccount, ledgerCounts, openAccount } from './live-account.js';
import {
  actionsBetween,
  actionsOf,
  type Counted,
  type ServerActions,
  serverActions,
} from './temporal-actions.js';

const DAY = 86_400;
/** How long the last changes have until they are applied. */
const LAST_SECONDS = 6;

await figure(
  {
    name: 'actions',
    says: "Temporal's billable actions",
    runs: 1,
    within: 600,
    options: { seconds: '60', rate: '5', accounts: '10', idle: '150' },
  },
  async ({ runs, values, withinMs, say, add, note }) => {
    const world = { seed: 1, objects: {}, latencyMs: 0, perEndpoint: null, withinMs, say };
    await inWorld(world, async (built) => {
      await built.startWorker();
      await built.simulator.control({ visibility: { kind: 'none' } });
      for (let run = 1; run <= runs; run += 1) {
        const change = await perChange(
          built,
          `live-${run}`,
          Number(values.rate),
          Number(values.seconds),
          note,
        );
        say(`Run ${run}: the live lane is counted.`);
        const accounts = Array.from(
          { length: Number(values.accounts) },
          (_, index) => `idle-${run}-${index}`,
        );
        add([...change, ...(await perIdleHour(built, accounts, Number(values.idle), note))]);
      }
    });
  },
);

async function perChange(
  world: World,
  account: string,
  rate: number,
  seconds: number,
  note: Figure['note'],
): Promise<Measured[]> {
  await openAccount(world, account, { entities: 'always' });
  const before = await serverActions(world);
  const from = Date.now() / 1000;
  await changesAt(world, rate, seconds);
  await sleep(LAST_SECONDS * 1000, undefined, { signal: world.signal });
  const span = { from, to: Date.now() / 1000 };
  const after = await serverActions(world);
  const { settled } = await ledgerCounts(world, account);
  const counted = await actionsOf(world, account, span);
  await endAccount(world, account);
  const heartbeats = heartbeatsOf(counted);
  note(`${settled} changes at ${rate} a second: ${actionsText(counted.actions, heartbeats)}.`);
  const value = (totalActions(counted.actions) + heartbeats) / settled;
  return [
    {
      ...{ what: 'actions per applied change', unit: '', value, wanted: { atMost: 4 } },
      ...besides(before, after, settled, note),
    },
  ];
}

async function perIdleHour(
  world: World,
  accounts: readonly string[],
  seconds: number,
  note: Figure['note'],
): Promise<Measured[]> {
  const { simulator, signal } = world;
  // What happened last is a day ago, so they are quiet from the beginning.
  await simulator.control({ advanceClock: DAY });
  for (const account of accounts) await openAccount(world, account);
  await sleep(15_000, undefined, { signal });
  const before = await serverActions(world);
  const from = Date.now() / 1000;
  await sleep(seconds * 1000, undefined, { signal });
  const after = await serverActions(world);
  const span = { from, to: Date.now() / 1000 };
  let actions = NO_ACTIONS;
  const timeouts = new Set<number>();
  for (const account of accounts) {
    const counted = await actionsOf(world, account, span);
    actions = addActions(actions, counted.actions);
    for (const { timeoutSeconds } of counted.beating) timeouts.add(timeoutSeconds);
  }
  for (const account of accounts) await endAccount(world, account);

  const { everySeconds, slowestSeconds, waitSeconds } = DEFAULT_SETTINGS.poll;
  const interval = pollInterval({ fastestSeconds: everySeconds, slowestSeconds }, DAY, null);
  const fetchSeconds = Math.max(interval, waitSeconds);
  const fetches = 3_600 / fetchSeconds;
  const timeout = Math.min(...timeouts);
  const heartbeats = fetches * deliveredHeartbeats(fetchSeconds, timeout);
  const deepRescans = 4 / 24;
  note(
    `Idle, an hour: ${fetches} long polls of ${fetchSeconds} s, ${heartbeats} heartbeats delivered by them (the ` +
      `first, and one each 0.8 × ${timeout} s), and a deep rescan a day: a child, its activity, its report, 4 / 24.`,
  );
  note(
    `Seen of ${accounts.length} accounts in ${seconds} s: ${actionsText(actions, 0) || 'no event in any history'}.`,
  );
  const accountHours = (accounts.length * seconds) / 3_600;
  return [
    {
      what: 'actions per idle account and hour',
      unit: '',
      value: fetches + heartbeats + deepRescans,
      wanted: { atMost: 150 },
      ...besides(before, after, accountHours, note),
    },
  ];
}

function heartbeatsOf({ beating }: Counted): number {
  return beating.reduce(
    (sum, { seconds, timeoutSeconds }) => sum + deliveredHeartbeats(seconds, timeoutSeconds),
    0,
  );
}

function besides(
  before: ServerActions | null,
  after: ServerActions | null,
  per: number,
  note: Figure['note'],
): Pick<Measured, 'baseline'> {
  if (before === null || after === null) return {};
  const between = actionsBetween(before, after);
  const all = Object.values(between).reduce((sum, count) => sum + count, 0);
  const kinds = Object.entries(between).sort(([, a], [, b]) => b - a);
  note(`The server counted ${all}: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}.`);
  return { baseline: { what: "the server's count", value: all / per } };
}
