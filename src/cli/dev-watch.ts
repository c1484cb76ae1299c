import type { AccountReport } from './account-report.js';
import { reportAccount } from './account-report.js';
import { backfillTotals, createBackfillView } from './backfill-progress.js';
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
  const view = createBackfillView(session.pool, account);
  let listing: number | null = null;
  try {
    for (;;) {
      // A look that has begun is waited for: a connection must not be closed under a query.
      const report = await look(session, account);
      const backfill = report?.backfill ?? null;
      if (backfill?.state === 'running') {
        await view.show(backfill, line);
        listing = backfill.number;
      } else if (report !== null) {
        if (backfill !== null && backfill.number === listing) {
          await view.show(backfill, line);
          line.say(`Backfill ${backfill.state}: ${backfillTotals(backfill.types)}.`);
          listing = null;
        }
        line.show(`${statusLine(report)}${note()}`, STATUS_EVERY_MS);
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
