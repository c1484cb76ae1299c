import pLimit from 'p-limit';
import { aliasOf, type Holder, holderOf, stepFor } from '../src/domain/connected.js';
import { UserError } from '../src/domain/failures.js';
import { noteAliasOfPlatform, noteFollowed, readHolders } from '../src/postgres/followed-accounts.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { assertMigrated } from '../src/postgres/schema.js';
import { listAccounts } from '../src/stripe/list-accounts.js';
import { heartbeating } from './activity-context.js';
import type { AccountLauncher, ActivityDeps } from './deps.js';

export interface FollowInput {
  /** Alias of the platform, whose key lists and reads the accounts. */
  readonly platform: string;
  /** Whether a person starts them all now, and no schedule. */
  readonly asked: boolean;
  /** What accounts are started with: only whoever launches them looks into it. */
  readonly terms: unknown;
}

/** Aliases and account ids, and no more of each than a person reads. */
export interface FollowResult {
  readonly connected: number;
  readonly started: number;
  readonly startedAliases: readonly string[];
  /** Those that run; counted only where a person asked. */
  readonly running: number;
  /** Those that somebody stopped, and that stay so; looked for only where a person asked. */
  readonly stopped: readonly string[];
  /** Why an account was not started. */
  readonly refused: readonly string[];
}

const MOST_NAMED = 20;
/** Starts of workflows that are under way at a time. */
const STARTS_AT_ONCE = 10;

/**
 * Lists the accounts that are connected to a platform, and starts those that nobody has started yet. What was started
 * before is left alone, whether it runs or was stopped.
 *
 * An account is not checked before its start: the list has just said that the key is good and that the account is
 * connected, and there can be thousands. What else is amiss its own workflow meets, tells as its trouble, and outlives.
 */
export function followConnected(deps: ActivityDeps) {
  return (input: FollowInput): Promise<FollowResult> =>
    heartbeating(async ({ signal }) => {
      const { accounts } = deps;
      if (accounts === undefined) throw new UserError('This worker cannot start accounts.');
      await assertMigrated(deps.pool);
      const found: Found = { started: [], running: 0, stopped: [], refused: [] };
      const client = deps.stripe(input.platform);
      let connected = 0;
      let after: string | null = null;
      for (let hasMore = true; hasMore; ) {
        const page = await listAccounts(client, after, signal);
        await recordReads(deps.pool, input.platform, 1);
        const holders = await readHolders(deps.pool, page.ids);
        await untilOneFails(page.ids, async (id) => {
          signal.throwIfAborted();
          await take(deps, accounts, input, id, holderOf(holders, id), found);
        });
        connected += page.ids.length;
        ({ hasMore } = page);
        after = page.ids.at(-1) ?? null;
      }
      return {
        connected,
        started: found.started.length,
        startedAliases: named(found.started),
        running: found.running,
        stopped: named(found.stopped),
        refused: named(found.refused),
      };
    });
}

/** After a failure nothing more is begun, and what is under way is waited for: the next attempt must find it done. */
async function untilOneFails(ids: readonly string[], each: (id: string) => Promise<void>): Promise<void> {
  const limit = pLimit(STARTS_AT_ONCE);
  const failures: unknown[] = [];
  await Promise.all(
    ids.map((id) =>
      limit(async () => {
        if (failures.length > 0) return;
        try {
          await each(id);
        } catch (error) {
          failures.push(error);
        }
      }),
    ),
  );
  if (failures.length > 0) throw failures[0];
}

interface Found {
  readonly started: string[];
  running: number;
  readonly stopped: string[];
  readonly refused: string[];
}

async function take(
  deps: ActivityDeps,
  accounts: AccountLauncher,
  { platform, asked, terms }: FollowInput,
  stripeAccount: string,
  holder: Holder | null,
  found: Found,
): Promise<void> {
  const alias = holder?.account ?? aliasOf(stripeAccount);
  if (alias === null) {
    found.refused.push('A connected account has an id that cannot be an alias: start it under one of yours.');
    return;
  }
  // What is followed already is as it should be, which spares a schedule the question for each of them.
  const runs = holder !== null && (asked || !holder.followed) && (await accounts.isRunning(alias));
  const step = stepFor(holder, runs, asked);
  if (step === 'start') {
    if (holder === null && !(await noteAliasOfPlatform(deps.pool, alias, platform))) {
      found.refused.push(
        `${alias} is not started: the tables of that alias hold another account. Start it under another one with: ` +
          `stripe-sync start ALIAS --stripe-account ${stripeAccount}`,
      );
      return;
    }
    if (await accounts.launch(alias, terms)) found.started.push(alias);
    else found.running += 1;
  } else if (runs) found.running += 1;
  else if (asked) found.stopped.push(alias);
  // Noted last: what is lost on the way is started by the next look, and never taken for stopped.
  if (step !== 'leave') await noteFollowed(deps.pool, [alias], platform);
}

function named(lines: readonly string[]): string[] {
  return [...lines].sort().slice(0, MOST_NAMED);
}
