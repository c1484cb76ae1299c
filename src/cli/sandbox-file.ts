import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the sandbox keeps what it owns, below the folder that it was started in. */
export const SANDBOX_DIRECTORY = '.stripe-sync';

/** What a running sandbox tells the other commands: the environment variables of the parts that it brings. */
export interface SandboxFile {
  readonly pid: number;
  readonly environment: Readonly<Record<string, string>>;
}

const fileIn = (directory: string) => join(directory, 'sandbox.json');

/** The running sandbox of this folder, or null where there is none. */
export function readSandbox(directory: string): SandboxFile | null {
  try {
    const file = JSON.parse(readFileSync(fileIn(directory), 'utf8')) as SandboxFile;
    process.kill(file.pid, 0);
    return file;
  } catch {
    return null;
  }
}

/** The file holds a password and a key, of the sandbox only; others on this machine may not read it. */
export function writeSandbox(directory: string, environment: Readonly<Record<string, string>>): void {
  const file: SandboxFile = { pid: process.pid, environment };
  writeFileSync(fileIn(directory), `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
}

export function removeSandbox(directory: string): void {
  rmSync(fileIn(directory), { force: true });
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
