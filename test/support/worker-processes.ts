import { createFolder, type Running, start } from '../cli/cli-process.js';
import type { Sync } from './sync.js';

/** Workers as users run them: processes of their own, away from any sandbox of the checkout. */
export interface WorkerProcesses {
  /** Starts one, with more options of the command, and waits until it runs. */
  start(sync: Sync, options?: readonly string[]): Promise<Running>;
  /** For what a test leaves. */
  killAll(): Promise<void>;
}

export function createWorkerProcesses(): WorkerProcesses {
  const workers = new Set<Running>();
  return {
    async start({ environment }, options = []) {
      const folder = createFolder();
      const worker = start(['worker', ...options], folder.path, environment);
      workers.add(worker);
      void worker.finished.finally(folder.remove);
      await worker.says(/the worker runs/);
      return worker;
    },
    async killAll() {
      await Promise.all([...workers].map((worker) => worker.end('SIGKILL')));
      workers.clear();
    },
  };
}
