/** What the Temporal UI shows of a run, in words (Markdown). No payload and no customer data. */
import type { ListTypeResult } from '../activities/list-type.js';
import type { BackfillTypeProgress, Gap } from '../src/domain/account-state.js';
import type { AccountStatus } from './messages.js';

function time(seconds: number | null): string {
  return seconds === null
    ? 'never'
    : `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Since when events are missing, why, and what became of it. */
export function gapText(gap: Gap): string {
  const { from, to, noticedAt, lastReadAt, backfill, filled } = gap;
  const noticed = noticedAt ? ` (noticed ${time(noticedAt)})` : '';
  const read = lastReadAt ? ` the list had last been read ${time(lastReadAt)}, and` : '';
  const remedy = filled
    ? `backfill ${backfill} has filled the tables again`
    : backfill
      ? `backfill ${backfill} fills the tables again`
      : 'a backfill follows by itself';
  return (
    `events between ${time(from)} and ${time(to)} were not read${noticed}:` +
    `${read} Stripe keeps events for 30 days only; ${remedy}`
  );
}

export function accountDetails(status: AccountStatus): string {
  const { counters, cursor, backfill, gap } = status;
  // The server drops a run's static summary at continue-as-new, so the details say what the run is for as well.
  const lines = [
    `### Stripe account ${status.account} to PostgreSQL`,
    `**${status.state}**, ${status.caughtUp ? 'caught up' : `${status.behindSeconds} s behind`}, lag ${status.lagSeconds} s`,
    `Cursor: ${cursor === null ? `none yet, from ${time(status.anchor)}` : `\`${cursor.id}\` of ${time(cursor.created)}`}`,
    `Events: ${counters.received} received, ${counters.applied} applied, ${counters.stale} stale, ` +
      `${counters.fetched} settled by a read, ${counters.parked} parked, ${status.inFlight} entities under way`,
    ...catchUpLine(status),
    `Late: ${status.lateness.count} (worst ${status.lateness.maxSeconds} s), leaks: ${status.leaks}`,
    `Stripe's clock at the last pass: ${time(status.stripeNow)}`,
  ];
  if (backfill !== null) {
    const done = backfill.types.filter((type) => type.done).length;
    const rows = backfill.types.reduce((sum, type) => sum + type.rows, 0);
    lines.push(
      `Backfill ${backfill.number} (${backfill.reason}): ${backfill.state}, ${done} of ${backfill.types.length} types, ${rows} rows`,
    );
  }
  if (gap !== null) lines.push(`**Gap**: ${gapText(gap)}`);
  if (status.trouble !== null) lines.push(`**Trouble**: ${status.trouble}`);
  return lines.join('\n\n');
}

function catchUpLine({ catchUp }: AccountStatus): string[] {
  if (!catchUp) return [];
  const share = `${Math.floor(catchUp.share * 100)} %`;
  return [`**Catching up** with the events since ${time(catchUp.from)}: ${share}, ${catchUp.events} events`];
}

/** How far the listing of one type is. */
export function listingDetails(
  { object, account }: { readonly object: string; readonly account: string },
  { rows, share, perSecond, secondsLeft, done, skipped }: ListTypeResult,
): string {
  const left = secondsLeft === null ? '' : `, about ${secondsLeft} s left`;
  const state = skipped ?? (done ? 'done' : `${share === null ? '' : `${Math.floor(share * 100)} %`}${left}`);
  return `### ${object} of ${account}\n\n${rows} rows, ${Math.round(perSecond)} a second: ${state}`;
}

export function backfillDetails(types: readonly BackfillTypeProgress[]): string {
  const rows = types
    .filter((type) => type.rows > 0 || type.skipped !== undefined)
    .map((type) => `| ${type.object} | ${type.rows} | ${type.skipped ?? (type.done ? 'done' : 'listing')} |`);
  const done = types.filter((type) => type.done).length;
  return [
    `${done} of ${types.length} types are listed`,
    '',
    '| type | rows | state |',
    '|---|---|---|',
    ...rows,
  ].join('\n');
}
