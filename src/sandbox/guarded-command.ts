import { spawn } from 'node:child_process';
import { endProcess, identify, processStart } from './process-identity.js';
import { guardProcess } from './watchdog.js';

const SIGNALS = [
  { signal: 'SIGTERM', waitMs: 3_000 },
  { signal: 'SIGKILL', waitMs: 2_000 },
] as const;

/** How a command ended: `problem` is undefined after success, else says what happened, with its last words. */
export interface CommandResult {
  readonly problem: string | undefined;
}

/**
 * Runs a long command in a process group of its own: on abort, and when our process is killed, the whole group
 * ends. `onLine` gets each line of its stderr.
 * @throws the signal's reason when it aborts.
 */
export async function runGuarded(options: {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly onLine?: (line: string) => void;
}): Promise<CommandResult> {
  const { signal, onLine } = options;
  signal.throwIfAborted();
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    detached: true,
    env: options.env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const last: string[] = [];
  let unfinished = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (unfinished + chunk).split('\n');
    unfinished = lines.pop() ?? '';
    for (const line of lines) {
      onLine?.(line);
      last.push(line);
      if (last.length > 5) last.shift();
    }
  });
  const ended = new Promise<CommandResult>((resolve) => {
    child.once('error', (error) => resolve({ problem: error.message }));
    child.once('close', (code, by) => {
      const how = by === null ? `exit code ${code}` : `signal ${by}`;
      const words = [...last, unfinished].join('\n').trim();
      resolve({ problem: code === 0 ? undefined : words === '' ? how : `${how}: ${words}` });
    });
  });
  const identity = child.pid === undefined ? undefined : identify(child.pid);
  if (identity === undefined) return ended;

  const target = { ...identity, signals: SIGNALS, group: true };
  const release = guardProcess(target);
  let ending: Promise<boolean> | undefined;
  const abort = (): void => {
    ending = endProcess(target, processStart);
  };
  signal.addEventListener('abort', abort, { once: true });
  try {
    const result = await ended;
    await ending;
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', abort);
    await release();
  }
}
