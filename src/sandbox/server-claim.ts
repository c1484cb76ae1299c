import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type EndableProcess,
  endProcess,
  identify,
  isRunning,
  type ProcessIdentity,
  processStart,
} from './process-identity.js';

/** What a claim file holds: whose the directory is, and the server that this owner started for it. */
interface ClaimRecord {
  readonly owner: ProcessIdentity;
  readonly server?: EndableProcess | undefined;
}

/** The right of one process to run the server of a directory. */
export interface Claim {
  /** Writes down which server runs, so that a later start can end it, should this process be killed. */
  record(server: EndableProcess): void;
  /** Gives the directory back. Only when its server is gone. */
  release(): void;
}

function read(file: string): ClaimRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ClaimRecord;
  } catch {
    return undefined;
  }
}

/** Creates the file, or returns false when there is one already: the only step in which starters race. */
function create(file: string, record: ClaimRecord): boolean {
  try {
    writeFileSync(file, JSON.stringify(record), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code !== 'EACCES' && code !== 'EROFS') throw error;
    throw new Error(
      `This user cannot write ${file}: run this as the user who owns that directory, or remove the directory.`,
      { cause: error },
    );
  }
}

/** Moves the file of a dead owner away, and returns false when another starter was faster. */
function discard(file: string, seen: ClaimRecord | undefined): boolean {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(file, aside);
  } catch {
    return false;
  }
  const moved = read(aside);
  if (JSON.stringify(moved) !== JSON.stringify(seen)) {
    // Another starter has claimed it between our look and our move: it gets its file back.
    renameSync(aside, file);
    return false;
  }
  rmSync(aside, { force: true });
  return true;
}

/**
 * Takes `file` for this process, or returns the live process that has it. A file whose owner is dead is taken
 * over; `orphan` is the server that it named, and the new file names it too until `record` is called.
 */
export async function tryClaim(
  file: string,
): Promise<{ claim: Claim; orphan: EndableProcess | undefined } | { owner: ProcessIdentity }> {
  const owner = identify(process.pid);
  if (owner === undefined)
    throw new Error('Cannot tell when this process started: neither /proc nor ps says so.');
  let orphan: EndableProcess | undefined;
  for (let unreadable = 0; ; ) {
    if (create(file, { owner, server: orphan })) break;
    const seen = read(file);
    if (seen !== undefined && isRunning(seen.owner)) return { owner: seen.owner };
    // Empty for the moment between creation and content; empty for good after a kill in that moment.
    if (seen === undefined && unreadable++ < 10) {
      await sleep(50);
      continue;
    }
    if (discard(file, seen)) orphan = seen?.server;
  }
  const write = (record: ClaimRecord): void => {
    const next = `${file}.next`;
    writeFileSync(next, JSON.stringify(record), { mode: 0o600 });
    renameSync(next, file);
  };
  let released = false;
  const claim: Claim = {
    record: (server) => write({ owner, server }),
    release: () => {
      // Once only: later the file can be somebody else's.
      if (!released) rmSync(file, { force: true });
      released = true;
    },
  };
  return { claim, orphan };
}

/**
 * Takes the directory of a server, and ends the server that a killed owner left running there: that one, told
 * by pid and start time, and no other process.
 * @throws when another live process has the directory, or the orphan does not end.
 */
export async function claimServer(file: string, server: string, log: (line: string) => void): Promise<Claim> {
  const result = await tryClaim(file);
  if ('owner' in result) {
    throw new Error(
      `${server} is running already for this directory, started by process ${result.owner.pid}. ` +
        `Use that one, or stop it first (kill ${result.owner.pid}). Its record: ${file}`,
    );
  }
  const { claim, orphan } = result;
  if (orphan !== undefined && isRunning(orphan)) {
    log(`Stopping the ${server} server (process ${orphan.pid}) that an earlier run left behind`);
    if (!(await endProcess(orphan, processStart))) {
      // The file stays as it is: it still names the orphan, for the next try.
      throw new Error(
        `The ${server} server of an earlier run (process ${orphan.pid}, see ${basename(file)}) does not end. ` +
          `End it by hand: kill -9 ${orphan.pid}`,
      );
    }
  }
  return claim;
}
