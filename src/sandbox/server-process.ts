import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EndableProcess, endProcess, identify, processStart } from './process-identity.js';
import type { Claim } from './server-claim.js';
import { guardProcess, startWatchdog, stopIdleWatchdog } from './watchdog.js';

/** A log of an earlier run is kept once, under the name with `.1`, when it has grown beyond this. */
const LOG_LIMIT_BYTES = 5_000_000;
const TAIL_BYTES = 8_000;

export interface ServerCommand {
  /** Its name in messages, such as `PostgreSQL`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Another user to run as; only root can do so. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Gets the output of the server, appended. A file and not a pipe: the server outlives a killed parent. */
  readonly logFile: string;
  /** How it is stopped; see `EndableProcess`. */
  readonly signals: EndableProcess['signals'];
  readonly claim: Claim;
  /** Asked until it says true: does the server answer? What it throws ends the start. */
  readonly ready: () => Promise<boolean>;
  readonly readyTimeoutMs: number;
}

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the server has ended, however that came, with how: `exit code 1` or `signal SIGKILL`. */
  readonly exited: Promise<string>;
  /** Stops the server and resolves when it is gone; the claim stays. Safe to call again. */
  stop(): Promise<void>;
}

/** A server that ended before it answered; `lines` are its last words. */
export class ServerStartError extends Error {
  override readonly name = 'ServerStartError';

  constructor(
    message: string,
    readonly lines: string,
  ) {
    super(message);
  }
}

function openLog(file: string): { descriptor: number; from: number } {
  if (existsSync(file) && statSync(file).size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`);
  const descriptor = openSync(file, 'a', 0o600);
  return { descriptor, from: statSync(file).size };
}

/** The last lines that were written to the log from byte `from` on. */
function tail(file: string, from: number, lines = 8): string {
  try {
    const descriptor = openSync(file, 'r');
    try {
      const size = statSync(file).size;
      const start = Math.max(from, size - TAIL_BYTES);
      const buffer = Buffer.alloc(Math.max(0, size - start));
      readSync(descriptor, buffer, 0, buffer.length, start);
      return buffer.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return '';
  }
}

/**
 * Starts a server in a session of its own (a Ctrl-C in our terminal does not reach it), under the watchdog, with
 * its identity in the claim file, and resolves when it answers.
 * @throws ServerStartError when it ends first or does not answer in time; nothing of it is left then.
 */
export async function startServerProcess(server: ServerCommand): Promise<ServerProcess> {
  const { name, logFile } = server;
  startWatchdog();
  const { descriptor, from } = openLog(logFile);
  const child = spawn(server.command, server.args, {
    cwd: server.cwd,
    detached: true,
    env: server.env,
    stdio: ['ignore', descriptor, descriptor],
    ...server.user,
  });
  let end: string | undefined;
  const exited = new Promise<string>((resolve) => {
    const settle = (how: string): void => {
      end = how;
      resolve(how);
    };
    child.once('error', (error) => settle(error.message));
    child.once('exit', (code, signal) => settle(signal === null ? `exit code ${code}` : `signal ${signal}`));
  });
  closeSync(descriptor);
  child.unref();

  const identity = child.pid === undefined ? undefined : identify(child.pid);
  const target: EndableProcess | undefined = identity && {
    ...identity,
    signals: server.signals,
    group: false,
  };
  let release = stopIdleWatchdog;
  if (target !== undefined) {
    release = guardProcess(target);
    server.claim.record(target);
  }

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      const gone = target === undefined || (await endProcess(target, processStart));
      if (!gone)
        throw new Error(
          `${name} (process ${target?.pid}) does not end. End it by hand: kill -9 ${target?.pid}`,
        );
      await release();
    })();
    return stopping;
  };

  try {
    const deadline = Date.now() + server.readyTimeoutMs;
    while (end === undefined && !(await server.ready())) {
      if (Date.now() > deadline) {
        const lines = tail(logFile, from);
        throw new ServerStartError(
          `${name} did not answer within ${server.readyTimeoutMs / 1000} s. The end of its log (${logFile}):\n${lines}`,
          lines,
        );
      }
      await Promise.race([exited, sleep(50)]);
    }
    if (end !== undefined) {
      const lines = tail(logFile, from);
      throw new ServerStartError(
        `${name} ended while it started (${end}). The end of its log (${logFile}):\n${lines}`,
        lines,
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid as number, exited, stop };
}
