import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type PostgresBinaries, ROOT_STATE_DIRECTORY } from './postgres-binaries.js';
import { processStart } from './process-identity.js';
import { canReach, type ServerUser } from './server-user.js';

export const SUPERUSER = 'postgres';

/** PostgreSQL's own environment: ours could bring PGDATA, PGPORT or a locale that it does not know. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C' };
}

/**
 * Where the data directory really lies: `directory/data`. As root it has to be where `user` can go; under a
 * closed directory such as /root the name becomes a link into /var/lib/stripe-sync. The link is the truth: with
 * `directory` removed, the data it led to is old, and is removed by the next start.
 */
export function placeCluster(
  directory: string,
  user: ServerUser | undefined,
  log: (line: string) => void,
): string {
  const data = join(directory, 'data');
  if (existsSync(data)) {
    const target = realpathSync(data);
    if (user === undefined || canReach(user, target)) return target;
    throw new Error(
      `PostgreSQL runs as ${user.name}, who cannot enter ${target} (did it move?). ` +
        'Move it back, or remove it to start anew.',
    );
  }
  if (user === undefined || canReach(user, directory)) return data;
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const home = join(ROOT_STATE_DIRECTORY, `cluster-${name}`);
  const target = join(home, 'data');
  const link = lstatSync(data, { throwIfNoEntry: false });
  if (link?.isSymbolicLink() !== true || readlinkSync(data) !== target) {
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true, mode: 0o755 });
    symlinkSync(target, data);
  }
  log(`PostgreSQL runs as ${user.name}, who cannot enter ${directory}: its data lies in ${target}`);
  return target;
}

/** Removes `directory`, and the data of its cluster where `placeCluster` put that elsewhere. */
export function removeCluster(directory: string): void {
  const data = join(directory, 'data');
  if (lstatSync(data, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    const home = dirname(readlinkSync(data));
    if (dirname(home) === ROOT_STATE_DIRECTORY) rmSync(home, { recursive: true, force: true });
  }
  rmSync(directory, { recursive: true, force: true });
}

/** The superuser's password: random, made once, readable to this user only. */
export function readOrCreatePassword(directory: string, dataDirectory: string): string {
  const file = join(directory, 'password');
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  if (existsSync(join(dataDirectory, 'PG_VERSION'))) {
    throw new Error(
      `${file} is gone, and without it nobody can log in to the database beside it. Remove ${directory} to start anew.`,
    );
  }
  const password = randomBytes(16).toString('hex');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

function runInitdb(
  initdb: string,
  args: readonly string[],
  cwd: string,
  user: ServerUser | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(initdb, args, {
      cwd,
      // Its own session: a Ctrl-C must not stop it half-way while we go on.
      detached: true,
      env: postgresEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user && { uid: user.uid, gid: user.gid }),
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve();
      const how = signal ?? `exit code ${code}`;
      reject(
        new Error(
          output.includes('could not look up effective user ID')
            ? `PostgreSQL does not run as a user without a name, and user ${process.getuid?.()} is not in /etc/passwd. ` +
                'Run this as a user who is (or as root), or set DATABASE_URL.'
            : `PostgreSQL could not create its data directory (initdb: ${how}):\n${output.trimEnd()}`,
        ),
      );
    });
  });
}

/**
 * Makes the cluster unless it is there: UTF-8, sorted by code point and the same on every system (PostgreSQL's
 * own C.UTF-8), passwords for every connection. It is made under another name and moved into place when it is
 * whole, so a kill half-way leaves nothing that a later start could take for a cluster.
 * @throws when the cluster is of another major version, or initdb fails.
 */
export async function ensureCluster(options: {
  readonly dataDirectory: string;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | undefined;
  readonly password: string;
  readonly durable: boolean;
  readonly log: (line: string) => void;
}): Promise<void> {
  const { dataDirectory, binaries, user, log } = options;
  const home = join(dataDirectory, '..');
  for (const name of readdirSync(home)) {
    if (name.startsWith('data.new-')) rmSync(join(home, name), { recursive: true, force: true });
  }
  const versionFile = join(dataDirectory, 'PG_VERSION');
  if (existsSync(versionFile)) {
    const found = readFileSync(versionFile, 'utf8').trim();
    if (found === binaries.major) return;
    throw new Error(
      `The database in ${dataDirectory} was made by PostgreSQL ${found}, and this is ${binaries.major}. ` +
        `Remove ${dataDirectory} to start anew.`,
    );
  }
  if (existsSync(dataDirectory)) {
    log(`${dataDirectory} holds no finished database: creating it again`);
    rmSync(dataDirectory, { recursive: true, force: true });
  }
  const fresh = join(home, `data.new-${process.pid}`);
  const passwordFile = join(home, `data.new-${process.pid}-password`);
  mkdirSync(fresh, { mode: 0o700 });
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600 });
  if (user !== undefined) for (const path of [fresh, passwordFile]) chownSync(path, user.uid, user.gid);
  try {
    await runInitdb(
      binaries.initdb,
      [
        `--pgdata=${fresh}`,
        `--username=${SUPERUSER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        ...(options.durable ? [] : ['--no-sync']),
      ],
      home,
      user,
    );
    renameSync(fresh, dataDirectory);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Whether the process that postmaster.pid names is a server on this data directory; undefined: cannot tell. */
function servesDirectory(pid: number, startedSeconds: number, dataDirectory: string): boolean | undefined {
  if (process.platform === 'linux') {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === dataDirectory;
    } catch {
      return undefined;
    }
  }
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const started = Date.parse(stdout.trim()) / 1000;
  return Number.isNaN(started) ? undefined : Math.abs(started - startedSeconds) < 5;
}

/**
 * Clears a postmaster.pid whose server is gone while its pid belongs to another process now (in a container that
 * starts again, pids are the same small numbers). PostgreSQL would refuse to start, for it looks at the pid only.
 * @throws when a server that no claim of ours names really runs there.
 */
export function clearStalePid(dataDirectory: string): void {
  const file = join(dataDirectory, 'postmaster.pid');
  if (!existsSync(file)) return;
  const lines = readFileSync(file, 'utf8').split('\n');
  const pid = Number.parseInt(lines[0] ?? '', 10);
  if (!Number.isInteger(pid) || pid <= 0 || processStart(pid) === undefined) return;
  const serves = servesDirectory(pid, Number(lines[2]), realpathSync(dataDirectory));
  if (serves === false) rmSync(file, { force: true });
  if (serves === true) {
    throw new Error(
      `A PostgreSQL that this program did not start (process ${pid}) runs on ${dataDirectory}. ` +
        `Stop it first: kill -INT ${pid}`,
    );
  }
}
