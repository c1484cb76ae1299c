import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type EndableProcess, endProcess, readProcessStart } from './process-identity.js';

/**
 * Leaves no process behind, even after kill -9 of ours: a second small process holds a pipe to this one, and
 * ends the processes that it was told to guard when the pipe closes. It runs in a session of its own, so a
 * Ctrl-C in the terminal reaches neither it nor the servers, and we stay in charge of the order.
 */
type Message = { readonly guard: EndableProcess } | { readonly release: number };

/** What the watchdog process runs. It gets this function as source text, so it can use its arguments only. */
function watch(
  load: NodeJS.Require,
  startOf: typeof readProcessStart,
  end: typeof endProcess,
  guarded: Map<number, EndableProcess>,
): void {
  const files = load('node:fs') as typeof import('node:fs');
  const processes = load('node:child_process') as typeof import('node:child_process');
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

  let received = '';
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (chunk: string) => {
    const lines = (received + chunk).split('\n');
    received = lines.pop() ?? '';
    for (const line of lines) {
      const message = JSON.parse(line) as Message;
      if ('guard' in message) guarded.set(message.guard.pid, message.guard);
      else guarded.delete(message.release);
    }
  });
  // A parent that is killed with something unread on its side resets the pipe instead of ending it.
  process.stdin.on('error', () => undefined);
  process.stdin.on('close', () => {
    const ends = [...guarded.values()].map((target) => end(target, (pid) => startOf(files, processes, pid)));
    Promise.allSettled(ends).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}

const source = `(${watch})(require, ${readProcessStart}, ${endProcess}, new Map());`;
const guarded = new Set<number>();
let current: ChildProcess | undefined;

function send(watchdog: ChildProcess, message: Message): void {
  watchdog.stdin?.write(`${JSON.stringify(message)}\n`);
}

/** Starts the watchdog unless it runs: before the first server, so that no server is ever without it. */
export function startWatchdog(): void {
  if (current !== undefined) return;
  // NODE_OPTIONS stays behind: it can hold a loader or an inspector that is meant for this process only.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const watchdog = spawn(process.execPath, ['-e', source], {
    cwd: '/',
    detached: true,
    env,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined);
  watchdog.stdin.on('error', () => undefined);
  watchdog.once('exit', () => {
    if (current === watchdog) current = undefined;
  });
  watchdog.unref();
  (watchdog.stdin as NodeJS.WritableStream & { unref?: () => void }).unref?.();
  current = watchdog;
}

/**
 * Has `target` ended when this process ends, in whatever way. The function that it returns takes that back,
 * and resolves when a watchdog that nobody needs any longer is gone too.
 */
export function guardProcess(target: EndableProcess): () => Promise<void> {
  startWatchdog();
  guarded.add(target.pid);
  if (current !== undefined) send(current, { guard: target });
  return async () => {
    if (!guarded.delete(target.pid)) return;
    if (current !== undefined) send(current, { release: target.pid });
    await stopIdleWatchdog();
  };
}

/** Ends a watchdog that guards nothing; for a start that failed before there was a process to guard. */
export async function stopIdleWatchdog(): Promise<void> {
  if (guarded.size > 0) return;
  const watchdog = current;
  current = undefined;
  if (watchdog === undefined || watchdog.exitCode !== null) return;
  watchdog.ref();
  const exited = once(watchdog, 'exit');
  watchdog.stdin?.end();
  await exited;
}
