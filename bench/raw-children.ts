/** Child workflows without a sync in them, on the same server: how many a second that can do. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import type { World } from './backfill-world.js';
import type { ParentInput } from './raw-children-workflows.js';

export interface RawChildren {
  /** Children a second, from the start of their parent to its end. */
  perSecond(child: ParentInput['child'], count: number, inFlight: number): Promise<number>;
  stop(): Promise<void>;
}

/** The path of a bundle that is made here, and what removes it. */
export async function bundleRawChildren(): Promise<{ readonly path: string; remove(): void }> {
  const workflowsPath = fileURLToPath(new URL('raw-children-workflows.js', import.meta.url));
  const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('WARN') });
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-bundle-'));
  const path = join(directory, 'bundle.js');
  writeFileSync(path, code);
  return { path, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export async function startRawChildren({ client, env, undo }: World, bundle: string): Promise<RawChildren> {
  const path = fileURLToPath(new URL('raw-children-worker.js', import.meta.url));
  const child = fork(path, [], {
    env: { ...env, BUNDLE: bundle },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  undo.add(() => ended(child));
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`The worker of raw children ended with ${code}.`);
    }),
  ]);
  let started = 0;
  return {
    async perSecond(which, count, inFlight) {
      started += 1;
      const prefix = `raw-${child.pid}-${started}`;
      const input: ParentInput = { child: which, count, inFlight, prefix };
      const began = performance.now();
      const done = await client.workflow.execute('parent', {
        workflowId: prefix,
        taskQueue: 'raw-children',
        args: [input],
      });
      return Number(done) / ((performance.now() - began) / 1000);
    },
    stop: () => ended(child),
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
