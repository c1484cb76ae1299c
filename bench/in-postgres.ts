/** A PostgreSQL of a figure's own, for those that need no more than that. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/sandbox/embedded-postgres.js';
import { freePort } from '../src/sandbox/ports.js';

/** Leaves nothing of it, also where time is up or somebody interrupts: what `work` still does then fails. */
export async function inPostgres<T>(
  { withinMs, say }: { readonly withinMs: number; say(line: string): void },
  work: (url: string) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'stripe-sync-bench-'));
  // As root, PostgreSQL runs as another user, who has to get in.
  chmodSync(directory, 0o755);
  const postgres = await startEmbeddedPostgres({
    directory: join(directory, 'postgres'),
    port: await freePort(),
    log: say,
  });
  let end = (_why: string): void => undefined;
  const ended = new Promise<never>((_, reject) => {
    end = (why) => reject(new Error(why));
  });
  const timer = setTimeout(end, withinMs, `It was not over within ${withinMs / 1000} s.`);
  const interrupt = (name: NodeJS.Signals) => end(`${name} ended it.`);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    return await Promise.race([ended, work(postgres.url)]);
  } finally {
    clearTimeout(timer);
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await postgres.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}
