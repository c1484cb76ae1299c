import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { workflowBundlePath } from '../../src/temporal/worker.js';

const HISTORIES = fileURLToPath(new URL('../histories/', import.meta.url));

const recorded = readdirSync(HISTORIES, { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.json.gz'),
);

describe('the histories of every released version', () => {
  it('are there, of each kind of workflow', () => {
    const types = [
      'account',
      'audit',
      'backfill',
      'connected',
      'entity',
      'listing',
      'prune',
      'refresh',
      'rescan',
    ];
    for (const type of types) expect(recorded.some((path) => path.includes(`${type}-`))).toBe(true);
  });

  it.each(recorded)('%s replays', async (path) => {
    const history = historyFromJSON(
      JSON.parse(gunzipSync(readFileSync(join(HISTORIES, path))).toString('utf8')),
    );
    await Worker.runReplayHistory({ workflowBundle: { codePath: workflowBundlePath() } }, history);
  });

  it('of 0.1.0 replay also where Stripe’s clock stepped back by a second between two fetches', async () => {
    const path = join(HISTORIES, 'v0.1.0/account-2.json.gz');
    const json = JSON.parse(gunzipSync(readFileSync(path)).toString('utf8')) as RecordedHistory;
    expect(stepClockBack(json)).toBe(true);
    await Worker.runReplayHistory(
      { workflowBundle: { codePath: workflowBundlePath() } },
      historyFromJSON(json),
    );
  });
});

interface Payload {
  data: string;
}

interface RecordedHistory {
  readonly events: readonly {
    readonly eventId: string;
    readonly workflowExecutionStartedEventAttributes?: { readonly input: { readonly payloads: Payload[] } };
    readonly activityTaskScheduledEventAttributes?: { readonly activityType: { readonly name: string } };
    readonly activityTaskCompletedEventAttributes?: {
      readonly scheduledEventId: string;
      readonly result: { readonly payloads: Payload[] };
    };
  }[];
}

/** Has the first fetch of the run say that it was a second before the last rescan began. */
function stepClockBack({ events }: RecordedHistory): boolean {
  const decode = (payload: Payload | undefined) =>
    JSON.parse(Buffer.from(payload?.data ?? '', 'base64').toString('utf8'));
  const [started] = events;
  const { state } = decode(started?.workflowExecutionStartedEventAttributes?.input.payloads[0]);
  for (const { activityTaskCompletedEventAttributes: completed } of events) {
    const scheduled = events.find((event) => event.eventId === completed?.scheduledEventId);
    if (scheduled?.activityTaskScheduledEventAttributes?.activityType.name !== 'fetchEvents') continue;
    const [payload] = completed?.result.payloads ?? [];
    const result = decode(payload);
    result.report.stripeNow = state.rescannedAt - 1;
    if (payload !== undefined) payload.data = Buffer.from(JSON.stringify(result)).toString('base64');
    return payload !== undefined;
  }
  return false;
}
