import type { Client, Pool, PoolClient } from 'pg';
import type { Session } from './read-event.js';

/** The transaction's beginning tells it from a later one that the server gave the same process id. */
const END_SESSION = `
select pg_terminate_backend(pid) from pg_stat_activity
where pid = $1 and xact_start = $2::timestamptz`;

const PATIENCE_MS = 2_000;

/**
 * Gives up a connection whose statement does not end. Nothing can be sent on it any more, so nothing it began can be
 * committed; and the server ends the session, which would otherwise hold its locks until the statement is over.
 * Where the server cannot be asked, its statement timeout has to do.
 */
export async function cutConnection(client: PoolClient, pool: Pool, { pid, began }: Session): Promise<void> {
  // A pool's client is a client: its `end` closes the socket under a statement. The pool drops it on release.
  void (client as PoolClient & Pick<Client, 'end'>).end().catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS);
  });
  await Promise.race([
    pool.query(END_SESSION, [pid, began]).then(
      () => undefined,
      () => undefined,
    ),
    patience,
  ]);
  clearTimeout(timer);
}
