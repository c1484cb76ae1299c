import type { AccountReport } from './account-report.js';
import { reportAccount } from './account-report.js';
import { createBackfillView } from './backfill-view.js';
import type { Session } from './dev-session.js';
import type { LiveLine } from './live-line.js';
import { within } from './shutdown.js';
import { statusLine } from './status-text.js';

const LOOK_EVERY_MS = 1_000;
/** Without a terminal, the status comes at this rhythm. */
const STATUS_EVERY_MS = 30_000;

/**
 * Shows how far the account is until `ended` resolves, and resolves to what that gives. Rejects when a part of
 * the sandbox fails meanwhile.
 *
 * @param note what to put behind each status, such as the time that is left
 */
export async function watchAccount<T extends object>(
  session: Session,
  account: string,
  line: LiveLine,
  ended: Promise<T>,
  note: () => string = () => '',
): Promise<T> {
  const over = Promise.race([ended, session.failed]);
  over.catch(() => undefined);
  const view = createBackfillView(session.pool, account, line);
  /** Of the last look: a backfill may begin and end between two. */
  let seen: { readonly number: number; readonly ended: boolean } | null = null;
  try {
    for (;;) {
      // A look that has begun is waited for: a connection must not be closed under a query.
      const report = await look(session, account);
      const backfill = report?.backfill ?? null;
      const number = backfill?.number ?? 0;
      const ended = backfill?.state !== 'running';
      const isNews = seen !== null && (number !== seen.number || ended !== seen.ended);
      if (backfill !== null && (!ended || isNews)) await view.show(backfill);
      if (report !== null) {
        seen = { number, ended };
        if (ended) line.show(`${statusLine(report)}${note()}`, STATUS_EVERY_MS);
      }
      const result = await within(over, LOOK_EVERY_MS);
      if (result !== undefined) return result;
    }
  } finally {
    line.clear();
  }
}

/** Null where nobody answers for the moment; the next look may. */
async function look({ client, pool }: Session, account: string): Promise<AccountReport | null> {
  return reportAccount(client, pool, account).catch(() => null);
}
