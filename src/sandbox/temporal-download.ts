import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runGuarded } from './guarded-command.js';

/** A download that stands still for as long as this is given up: a firewall may swallow packets for ever. */
const STALL_MS = 20_000;
const LIMIT_MS = 10 * 60_000;

/**
 * What the downloading process runs. The SDK downloads only as part of starting a server, and its native
 * runtime is one per process and cannot be configured once it runs: so it gets a process of its own.
 */
const SOURCE = `
const [testing, downloadDir, version] = process.argv.slice(1);
const { TestWorkflowEnvironment } = require(testing);
TestWorkflowEnvironment.createLocal({ server: { executable: { type: 'cached-download', downloadDir, version } } })
  .then((environment) => environment.teardown())
  .catch((error) => { console.error(error.message); process.exitCode = 1; });
`;

/** The innermost cause only: the SDK's message repeats the address at each of its levels. */
function firstCause(problem: string): string {
  const [line = ''] = problem.split('\n').filter((text) => text.includes('ephemeral server'));
  const text = line === '' ? problem : line;
  return /(client error.*|HTTP status.*)$/.exec(text)?.[1] ?? text;
}

function files(directory: string): { path: string; bytes: number }[] {
  return readdirSync(directory).map((name) => {
    const path = join(directory, name);
    return { path, bytes: statSync(path, { throwIfNoEntry: false })?.size ?? 0 };
  });
}

/**
 * Has the Temporal SDK download its CLI into an empty `directory`. Returns the downloaded file, or what went
 * wrong. Never waits long for a network that is not there.
 * @param version such as `1.5.1`
 * @param onBytes is told how much is there, each second
 * @throws the signal's reason when it aborts.
 */
export async function downloadTemporal(options: {
  readonly directory: string;
  readonly version: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}): Promise<{ file: string } | { problem: string }> {
  const { directory, signal } = options;
  const given = new AbortController();
  const startedAt = Date.now();
  let bytes = 0;
  let movedAt = startedAt;
  const timer = setInterval(() => {
    const now = files(directory).reduce((sum, file) => sum + file.bytes, 0);
    if (now !== bytes) movedAt = Date.now();
    bytes = now;
    options.onBytes(bytes);
    if (Date.now() - movedAt > STALL_MS) given.abort(new Error(`nothing arrived for ${STALL_MS / 1_000} s`));
    if (Date.now() - startedAt > LIMIT_MS)
      given.abort(new Error(`it took more than ${LIMIT_MS / 60_000} minutes`));
  }, 1_000);
  // NODE_OPTIONS can hold a loader or an inspector that is meant for this process only.
  const { NODE_OPTIONS: _, ...environment } = options.environment;
  try {
    const { problem } = await runGuarded({
      command: process.execPath,
      args: [
        '-e',
        SOURCE,
        createRequire(import.meta.url).resolve('@temporalio/testing'),
        directory,
        `v${options.version}`,
      ],
      cwd: directory,
      env: environment,
      signal: AbortSignal.any([signal, given.signal]),
    });
    // The server that the SDK starts next may fail to start in its five seconds; the download is good all the same.
    const whole = files(directory).find(
      ({ path, bytes: size }) => size > 0 && !path.endsWith('.downloading'),
    );
    return whole === undefined ? { problem: firstCause(problem ?? 'it left no file') } : { file: whole.path };
  } catch (error) {
    if (signal.aborted || !given.signal.aborted) throw error;
    return { problem: (error as Error).message };
  } finally {
    clearInterval(timer);
  }
}
