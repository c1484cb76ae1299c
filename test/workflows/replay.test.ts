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
    for (const type of ['account', 'backfill', 'entity']) {
      expect(recorded.some((path) => path.includes(`${type}-`))).toBe(true);
    }
  });

  it.each(recorded)('%s replays', async (path) => {
    const history = historyFromJSON(
      JSON.parse(gunzipSync(readFileSync(join(HISTORIES, path))).toString('utf8')),
    );
    await Worker.runReplayHistory({ workflowBundle: { codePath: workflowBundlePath() } }, history);
  });
});
