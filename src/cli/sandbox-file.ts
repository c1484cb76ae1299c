import { mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../domain/failures.js';
import { identify, isRunning, type ProcessIdentity } from '../sandbox/process-identity.js';
import { tryClaim } from '../sandbox/server-claim.js';

/** Where the sandbox keeps what it owns, below the folder that it was started in. */
export const SANDBOX_DIRECTORY = '.stripe-sync';

/** What a running sandbox tells the other commands: the environment variables of the parts that it brings. */
export interface SandboxFile {
  readonly process: ProcessIdentity;
  readonly environment: Readonly<Record<string, string>>;
}

const fileIn = (directory: string) => join(directory, 'sandbox.json');

/**
 * Takes the right to run the sandbox of this folder; what it returns gives that back.
 * @throws UserError where another process has it
 */
export async function claimSandbox(directory: string): Promise<() => void> {
  mkdirSync(directory, { recursive: true });
  const result = await tryClaim(join(directory, 'dev.json'));
  if ('claim' in result) {
    return () => {
      result.claim.release();
      removeIfEmpty(directory);
    };
  }
  throw new UserError(
    `A sandbox runs in this folder already (process ${result.owner.pid}). Use that one, ` +
      `or end it first: Ctrl-C where it runs, or kill ${result.owner.pid}`,
  );
}

/** The running sandbox of this folder, or null where there is none. */
export function readSandbox(directory: string): SandboxFile | null {
  try {
    const file = JSON.parse(readFileSync(fileIn(directory), 'utf8')) as SandboxFile;
    return isRunning(file.process) ? file : null;
  } catch {
    return null;
  }
}

/** The file holds a password and a key, of the sandbox only; others on this machine may not read it. */
export function writeSandbox(directory: string, environment: Readonly<Record<string, string>>): void {
  const owner = identify(process.pid);
  if (owner === undefined) throw new Error('This process cannot tell when it was started.');
  const file: SandboxFile = { process: owner, environment };
  rmSync(fileIn(directory), { force: true });
  writeFileSync(fileIn(directory), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
}

export function removeSandbox(directory: string): void {
  rmSync(fileIn(directory), { force: true });
}

/** For a sandbox that never came to hold anything. */
export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Something is in there that is kept, or another run's.
  }
}

/**
 * The environment with the running sandbox's parts for what it leaves open. Each part gives way as a whole:
 * somebody's own key goes to Stripe, never to the simulator.
 */
export function withSandbox(env: NodeJS.ProcessEnv, directory: string): NodeJS.ProcessEnv {
  const sandbox = readSandbox(directory);
  if (sandbox === null) return env;
  const ownStripe = Object.keys(env).some((name) => /^STRIPE_API_(KEY|BASE)/.test(name) && env[name]);
  const ownTemporal = Object.keys(env).some(
    (name) => /^TEMPORAL_(ADDRESS|PROFILE|CONFIG_FILE)$/.test(name) && env[name],
  );
  const given = Object.entries(sandbox.environment).filter(([name]) => {
    if (name.startsWith('STRIPE_API_')) return !ownStripe;
    if (name.startsWith('TEMPORAL_')) return !ownTemporal;
    return !env[name];
  });
  return { ...env, ...Object.fromEntries(given) };
}
