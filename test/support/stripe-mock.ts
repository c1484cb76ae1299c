/**
 * Stripe's own mock server (github.com/stripe/stripe-mock). It validates each request against the OpenAPI document
 * that is built into it: an unknown path answers 404, an unknown, missing or malformed parameter 400. It keeps no
 * state, and answers with fixtures.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const STRIPE_MOCK_VERSION = '0.203.0';

export interface StripeMock {
  /** Scheme, host and port. */
  readonly url: string;
  close(): Promise<void>;
}

const SUFFIX = process.platform === 'win32' ? '.exe' : '';

/** The program, from the cache or built with Go (some seconds, once), or why it is not to be had. */
export async function obtainStripeMock(): Promise<{ file: string } | { problem: string }> {
  const { XDG_CACHE_HOME } = process.env;
  const base = XDG_CACHE_HOME?.startsWith('/') === true ? XDG_CACHE_HOME : join(homedir(), '.cache');
  const cache = join(base, 'stripe-sync');
  const file = join(cache, `stripe-mock-${STRIPE_MOCK_VERSION}-${process.platform}-${process.arch}${SUFFIX}`);
  if (existsSync(file)) return { file };
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'partial-stripe-mock-'));
  try {
    await promisify(execFile)('go', ['install', `github.com/stripe/stripe-mock@v${STRIPE_MOCK_VERSION}`], {
      cwd: directory,
      env: { ...process.env, GOBIN: directory, GOOS: '', GOARCH: '', GOWORK: 'off' },
      timeout: 600_000,
    });
    // Whole, so that who looks there finds all of it or nothing.
    renameSync(join(directory, `stripe-mock${SUFFIX}`), file);
    return { file };
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    const said = stderr.trim().split('\n').at(-1) ?? '';
    return { problem: code === 'ENOENT' ? 'there is no Go on PATH' : `go install failed: ${said}` };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Starts it on a free port of this machine. Throws where it does not come up. */
export async function startStripeMock(file: string, options: readonly string[] = []): Promise<StripeMock> {
  // Without an address for https it would take its default port, which may be somebody's.
  const child = spawn(file, ['-http-addr', '127.0.0.1:', '-https-addr', '127.0.0.1:', ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = () => void child.kill('SIGKILL');
  process.once('exit', end);
  const url = await addressOf(child);
  return {
    url,
    async close() {
      process.off('exit', end);
      child.kill();
      await ended;
    },
  };
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const address = /Listening for HTTP at address: (\S+)/.exec(said)?.[1];
        if (address !== undefined) resolve(`http://${address}`);
      });
    }
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`stripe-mock ended with ${code}: ${said}`)));
  });
}
