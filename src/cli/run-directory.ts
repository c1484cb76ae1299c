/** Where a bounded run of the sandbox keeps its servers' files while it lasts. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { removeCluster } from '../sandbox/postgres-cluster.js';
import { identify } from '../sandbox/process-identity.js';
import { removeIfEmpty, SANDBOX_DIRECTORY } from './sandbox-file.js';

/** Named after this process, so that a later run can tell what a killed one left behind, and removes it. */
export function createRunDirectory(): string {
  mkdirSync(SANDBOX_DIRECTORY, { recursive: true });
  for (const name of readdirSync(SANDBOX_DIRECTORY)) {
    const owner = /^run-(\d+)-/.exec(name)?.[1];
    if (owner !== undefined && identify(Number(owner)) === undefined)
      removeFiles(join(SANDBOX_DIRECTORY, name));
  }
  const directory = mkdtempSync(join(SANDBOX_DIRECTORY, `run-${process.pid}-`));
  // As root, PostgreSQL runs as another user, who has to get in. What is secret in there is closed by itself.
  chmodSync(directory, 0o755);
  return directory;
}

/** Removes it, and the sandbox's folder as well where nothing else is in there. */
export function removeRunDirectory(directory: string): void {
  removeFiles(directory);
  removeIfEmpty(SANDBOX_DIRECTORY);
}

function removeFiles(directory: string): void {
  removeCluster(join(directory, 'postgres'));
  rmSync(directory, { recursive: true, force: true });
}
