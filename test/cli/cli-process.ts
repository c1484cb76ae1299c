import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PROGRAM = join(ROOT, 'bin', 'stripe-sync.js');

export type Variables = Readonly<Record<string, string | undefined>>;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** A command that runs in a process of its own. */
export interface Running {
  readonly child: ChildProcess;
  readonly pid: number;
  output(): string;
  /** Resolves once the output matches; fails when the process ends first, or after `seconds`. */
  says(pattern: RegExp, seconds?: number): Promise<void>;
  /** Sends a signal, and resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<Finished>;
  readonly finished: Promise<Finished>;
}

/** Nothing of the environment of the tests plays a part, but for where programs and caches are. */
function environment(variables: Variables): NodeJS.ProcessEnv {
  const { PATH, HOME, XDG_CACHE_HOME } = process.env;
  const all = Object.entries({ PATH, HOME, XDG_CACHE_HOME, ...variables });
  return Object.fromEntries(all.filter(([, value]) => value !== undefined));
}

/** What no output may hold: keys, and the password of the database's URL. */
export function secretsOf(variables: Variables): string[] {
  const keys = Object.entries(variables).flatMap(([name, value]) =>
    name.startsWith('STRIPE_API_KEY') && value !== undefined ? [value.trim()] : [],
  );
  const url = variables.DATABASE_URL;
  const password = url !== undefined && URL.canParse(url) ? decodeURIComponent(new URL(url).password) : '';
  return [...keys, password].filter((secret) => secret.length > 4);
}

export function start(args: readonly string[], cwd: string, variables: Variables = {}): Running {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
    env: environment(variables),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  let changed = () => {};
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    changed();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    changed();
  });
  const finished = once(child, 'close').then(([code]): Finished => {
    for (const secret of secretsOf(variables)) expect(stdout + stderr).not.toContain(secret);
    return { code: code as number | null, stdout, stderr, seconds: (performance.now() - startedAt) / 1000 };
  });
  const output = () => stdout + stderr;
  return {
    child,
    pid: child.pid as number,
    output,
    finished,
    async says(pattern, seconds = 120) {
      let timer: NodeJS.Timeout | undefined;
      const problem = new Promise<never>((_, reject) => {
        const fail = (why: string) => reject(new Error(`${why} before it said ${pattern}:\n${output()}`));
        timer = setTimeout(() => fail(`${seconds} s went by`), seconds * 1000);
        child.once('close', () => fail('It ended'));
      });
      const said = new Promise<void>((resolve) => {
        changed = () => {
          if (pattern.test(output())) resolve();
        };
        changed();
      });
      try {
        await Promise.race([said, problem]);
      } finally {
        clearTimeout(timer);
        problem.catch(() => undefined);
      }
    },
    end(signal) {
      child.kill(signal);
      return finished;
    },
  };
}

/** Runs a command to its end. */
export function run(args: readonly string[], cwd: string, variables: Variables = {}): Promise<Finished> {
  return start(args, cwd, variables).finished;
}

/** Expects exit code 1, and one line on stderr that matches, without a stack trace. */
export function expectFailure(result: Finished, line: RegExp): void {
  expect(result.stderr).toMatch(line);
  expect(result.stderr).toMatch(/^stripe-sync: [^\n]+\n$/);
  expect(result.stderr).not.toMatch(/\n\s+at |--verbose/);
  expect(result.code).toBe(1);
}

/** Expects exit code 0, and nothing that looks like a failure; what a worker logs is no matter. */
export function expectDone(result: Finished): void {
  expect(result.stderr).not.toMatch(/^stripe-sync:|\n\s+at |^Error/m);
  expect(result.code).toBe(0);
}

/** A folder in which no sandbox ever ran. Other users may enter it, since PostgreSQL runs as one where we are root. */
export function createFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'stripe-sync-cli-'));
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Processes by pid, each with what tells it from a later one of the same pid. */
export function descendantsOf(pid: number): ReadonlyMap<number, string> {
  const found = new Map<number, string>();
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,lstart='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row))
    .flatMap((row) =>
      row === null ? [] : [{ pid: Number(row[1]), parent: Number(row[2]), started: String(row[3]) }],
    );
  const add = (parent: number) => {
    for (const child of table.filter((row) => row.parent === parent)) {
      found.set(child.pid, child.started);
      add(child.pid);
    }
  };
  add(pid);
  return found;
}

/** Those of the processes that are still there, as lines for people. */
export function survivors(processes: ReadonlyMap<number, string>): string[] {
  return [...processes].flatMap(([pid, started]) => {
    try {
      const row = execFileSync('ps', ['-o', 'lstart=,stat=,args=', '-p', String(pid)], {
        encoding: 'utf8',
      }).trim();
      const isZombie = row.slice(started.length).trim().startsWith('Z');
      return row.startsWith(started) && !isZombie ? [`${pid} ${row}`] : [];
    } catch {
      return [];
    }
  });
}

/** Processes whose command line names the folder. */
export function processesIn(folder: string): string[] {
  return execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' })
    .split('\n')
    .filter((row) => row.includes(folder));
}

/** What the running sandbox of the folder tells the other commands. */
export function sandboxOf(folder: string): Record<string, string> {
  const file = readFileSync(join(folder, '.stripe-sync', 'sandbox.json'), 'utf8');
  return (JSON.parse(file) as { environment: Record<string, string> }).environment;
}
