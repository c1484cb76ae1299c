import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** The user that PostgreSQL runs as where we are root: it refuses to run as root itself. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

function lookUp(name: string): ServerUser | undefined {
  const id = (flag: string): number => {
    const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
    return status === 0 ? Number.parseInt(stdout, 10) : Number.NaN;
  };
  const [uid, gid] = [id('-u'), id('-g')];
  return Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0 ? { name, uid, gid } : undefined;
}

/**
 * Whom to run PostgreSQL as. Undefined: as ourselves, because we are not root. As root it is the owner of an
 * existing data directory, else `postgres`, else `nobody`: a user that is there, since a sandbox that adds users
 * to the system would surprise.
 * @throws when there is none of them, or the data directory is another user's.
 */
export function serverUser(dataDirectory: string): ServerUser | undefined {
  const own = process.getuid?.();
  const stat = statSync(dataDirectory, { throwIfNoEntry: false });
  if (own !== 0) {
    if (own !== undefined && stat !== undefined && stat.uid !== own) {
      throw new Error(
        `The database in ${dataDirectory} belongs to user ${stat.uid}, and you are user ${own}. ` +
          'Run this as that user (or as root, if root began it), or remove the directory to start anew.',
      );
    }
    return undefined;
  }
  if (stat !== undefined && stat.uid !== 0) return { name: `user ${stat.uid}`, uid: stat.uid, gid: stat.gid };
  const user = lookUp('postgres') ?? lookUp('nobody');
  if (user === undefined) {
    throw new Error(
      'PostgreSQL does not run as root, and this system has neither a user "postgres" nor "nobody" to run it as. ' +
        'Run this as an ordinary user, add one (useradd --system postgres), or set DATABASE_URL.',
    );
  }
  return user;
}

/** Whether that user can read and, as far as it is a directory, enter this path. */
export function canReach(user: ServerUser, path: string): boolean {
  const { status } = spawnSync(
    '/bin/sh',
    ['-c', 'test -r "$1" && { test ! -d "$1" || test -x "$1"; }', 'sh', path],
    {
      cwd: '/',
      uid: user.uid,
      gid: user.gid,
      stdio: 'ignore',
    },
  );
  return status === 0;
}
