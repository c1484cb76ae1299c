import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../src/sandbox/embedded-postgres.js';
import { freePort } from '../../src/sandbox/ports.js';
import { processStart } from '../../src/sandbox/process-identity.js';
import { obtainTemporalBinary } from '../../src/sandbox/temporal-binary.js';
import { startTemporalServer } from '../../src/sandbox/temporal-server.js';
import {
  compileSandbox,
  finish,
  removeCompiledSandbox,
  type SandboxProcess,
  startSandboxProcess,
} from './sandbox-process.js';
import { eventually } from './waiting.js';

const alive = (pid: number): boolean => processStart(pid) !== undefined;

describe('a sandbox leaves no process behind', () => {
  let directory: string;
  let binary: string;
  let sandbox: SandboxProcess;
  let started: number[];

  const options = async () => ({
    postgres: { directory: join(directory, 'postgres'), port: await freePort() },
    temporal: { binary, databaseFile: join(directory, 'temporal.db'), port: await freePort() },
  });

  beforeAll(async () => {
    compileSandbox();
    binary = await obtainTemporalBinary({ log: console.log });
  });
  afterAll(removeCompiledSandbox);

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'stripe-sync-test-'));
    chmodSync(directory, 0o755);
    sandbox = await startSandboxProcess(await options());
    started = sandbox.descendants();
    // Both servers, PostgreSQL's own children, and the watchdog.
    expect(started).toEqual(expect.arrayContaining([sandbox.postgresPid, sandbox.temporalPid]));
    expect(started.length).toBeGreaterThan(5);
  });

  afterEach(async () => {
    for (const pid of [sandbox.pid, ...started]) if (alive(pid)) process.kill(pid, 'SIGKILL');
    await eventually('every process is gone', () => !started.some(alive));
    rmSync(directory, { recursive: true, force: true });
  });

  it('when it is stopped', async () => {
    expect(await finish(sandbox, 'stop')).toBe(0);
    expect(started.filter(alive)).toEqual([]);
  });

  it('when its process is killed with SIGKILL', async () => {
    process.kill(sandbox.pid, 'SIGKILL');
    await eventually('all that it started is gone', () => !started.some(alive), 10_000);
  });

  it('when its process exits without stopping anything', async () => {
    expect(await finish(sandbox, 'exit')).toBe(3);
    await eventually('all that it started is gone', () => !started.some(alive), 10_000);
  });

  it('and a Ctrl-C in its terminal leaves the order of stopping to it', async () => {
    process.kill(-sandbox.pid, 'SIGINT');
    expect(await sandbox.nextLine()).toBe('interrupted');
    expect([sandbox.postgresPid, sandbox.temporalPid].filter(alive)).toHaveLength(2);
    expect(await finish(sandbox, 'stop')).toBe(0);
    expect(started.filter(alive)).toEqual([]);
  });

  it('for longer than until the next start, when its watchdog is killed too', async () => {
    const servers = new Set([sandbox.postgresPid, sandbox.temporalPid]);
    const backends = new Set(started.filter((pid) => alive(pid)));
    const watchdog = started.find((pid) => !servers.has(pid) && isNode(pid));
    expect(watchdog).toBeDefined();
    for (const pid of [watchdog, sandbox.pid]) process.kill(pid as number, 'SIGKILL');
    await eventually('the sandbox is gone', () => !alive(sandbox.pid) && !alive(watchdog as number));
    expect([...servers].filter(alive)).toHaveLength(2);

    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    const { postgres, temporal } = await options();
    const next = await Promise.all([
      startEmbeddedPostgres({ ...postgres, log }),
      startTemporalServer({ ...temporal, log }),
    ]);
    try {
      expect([...backends].filter(alive)).toEqual([]);
      expect(lines.sort()).toEqual([
        `Stopping the PostgreSQL server (process ${sandbox.postgresPid}) that an earlier run left behind`,
        `Stopping the Temporal server (process ${sandbox.temporalPid}) that an earlier run left behind`,
      ]);
      const client = new pg.Client(next[0].url);
      await client.connect();
      await client.end();
    } finally {
      await Promise.all(next.map((server) => server.stop()));
    }
  });

  it('and a second one on the same directory is told who has it', async () => {
    const { postgres, temporal } = await options();
    await expect(startEmbeddedPostgres(postgres)).rejects.toThrow(`started by process ${sandbox.pid}`);
    await expect(startTemporalServer(temporal)).rejects.toThrow(`started by process ${sandbox.pid}`);
    expect([sandbox.postgresPid, sandbox.temporalPid].filter(alive)).toHaveLength(2);
  });
});

function isNode(pid: number): boolean {
  return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).startsWith(
    process.execPath,
  );
}
