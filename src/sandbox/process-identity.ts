import * as childProcess from 'node:child_process';
import * as fs from 'node:fs';

/**
 * A process that cannot be mistaken for a later one: pids are used again, so a pid alone is no reason to end
 * anything. `started` is opaque, and the same for as long as the process lives.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

/** A process, and how it is ended: each signal in turn, with the time in milliseconds that it is given. */
export interface EndableProcess extends ProcessIdentity {
  readonly signals: readonly { readonly signal: NodeJS.Signals; readonly waitMs: number }[];
  /** Whether the signals go to its whole process group, which it must lead. */
  readonly group: boolean;
}

/**
 * When the process with this pid started, or undefined when there is none. A zombie counts as none: where
 * nobody reaps orphans (many containers) it stays for ever.
 *
 * Self-contained, and the modules are arguments: the watchdog gets this function as source text.
 */
export function readProcessStart(
  files: Pick<typeof import('node:fs'), 'readFileSync'>,
  processes: Pick<typeof import('node:child_process'), 'execFileSync'>,
  pid: number,
): string | undefined {
  try {
    if (process.platform === 'linux') {
      // The name in the second field may hold spaces and parentheses, so count from its last parenthesis.
      const stat = files.readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
      // Ticks since boot repeat after a reboot; together with the boot's id they do not.
      const boot = files.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      return `${boot} ${fields[19]}`;
    }
    const line = processes
      .execFileSync('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      .trim();
    const [state, ...started] = line.split(/\s+/);
    return state === undefined || state === '' || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}

/**
 * Ends a process: sends its signals one after the other until it is gone, and never to another process that
 * has got the pid meanwhile. Resolves to whether it is gone.
 *
 * Self-contained, like `readProcessStart`.
 */
export async function endProcess(
  target: EndableProcess,
  startOf: (pid: number) => string | undefined,
): Promise<boolean> {
  for (const { signal, waitMs } of target.signals) {
    if (startOf(target.pid) !== target.started) return true;
    try {
      process.kill(target.group ? -target.pid : target.pid, signal);
    } catch {
      // Gone between the two lines, or not ours to end; the next look tells which.
    }
    const deadline = Date.now() + waitMs;
    while (startOf(target.pid) === target.started && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return startOf(target.pid) !== target.started;
}

/** The start of a process of this machine; see `readProcessStart`. */
export function processStart(pid: number): string | undefined {
  return readProcessStart(fs, childProcess, pid);
}

/** The identity of a process that runs now, or undefined when there is none with this pid. */
export function identify(pid: number): ProcessIdentity | undefined {
  const started = processStart(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return processStart(identity.pid) === identity.started;
}
