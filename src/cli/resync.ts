import type { Command } from 'commander';
import { type ResyncRequest, resyncSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { accountWorkflowId } from '../domain/ids.js';
import { backfillPhases } from '../stripe/listings.js';
import { queryStatus } from './account-report.js';
import { type Backfill, followBackfill } from './backfill-progress.js';
import { commandEnvironment } from './context.js';
import { parseSince } from './duration.js';
import { withDatabaseIfAny } from './listing-progress.js';
import { orNotRunning } from './signals.js';
import { withTemporal } from './temporal-client.js';
import { parseTypes } from './types-option.js';

interface ResyncOptions {
  readonly types?: string[];
  /** Seconds since 1970. */
  readonly since?: number;
  readonly wait?: boolean;
}

export function configureResync(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option('--types <names>', 'only these: object or table names, separated by commas', parseTypes)
    .option(
      '--since <time>',
      'only what was created since: so long ago (7d), or a date; such a listing finds no deletions',
      parseSince,
    )
    .option('--wait', 'until it is done, with progress')
    .action(async (alias: string, options: ResyncOptions) => {
      const account = validateAlias(alias);
      assertNarrowable(command, options);
      const env = commandEnvironment();
      await withTemporal(env, async (client) => {
        const before = await queryStatus(client, account).catch((error: unknown) => {
          // Without --wait nobody has to answer: the signal waits for a worker.
          if (options.wait) throw error;
          return null;
        });
        const handle = client.workflow.getHandle(accountWorkflowId(account));
        const request: ResyncRequest = {
          ...(options.types === undefined ? {} : { types: options.types }),
          ...(options.since === undefined ? {} : { since: options.since }),
        };
        await orNotRunning(account, () => handle.signal(resyncSignal, request));
        process.stdout.write(saidText(account, options, before?.backfill ?? null));
        // A backfill that runs already ends before the one that was asked for begins.
        const number = (before?.backfill?.number ?? 0) + 1;
        if (!options.wait) return;
        await withDatabaseIfAny(env, (pool) =>
          followBackfill(client, account, number, { asked: true, pool }),
        );
      });
    });
}

/** Whoever names a type wants it listed, and not left out without a word. */
function assertNarrowable(command: Command, { types, since }: ResyncOptions): void {
  if (types === undefined || since === undefined) return;
  const { leftOut } = backfillPhases(types, () => true);
  if (leftOut.length === 0) return;
  const names = leftOut.map(({ object }) => object).join(', ');
  command.error(
    `error: --since cannot narrow ${names}: Stripe lists all of it, whenever it was created. Leave --since or the type out.`,
  );
}

function saidText(account: string, { types, since }: ResyncOptions, running: Backfill | null): string {
  const from =
    since === undefined ? '' : `, as far as it was created since ${new Date(since * 1000).toISOString()}`;
  const all = since === undefined ? 'all types' : 'all types that tell when they were created';
  const lines = [`${account} lists ${types?.join(', ') ?? all} again${from}.`];
  if (since !== undefined) lines.push('Such a listing finds no deletions.');
  if (running?.state === 'running')
    lines.push(
      `Backfill ${running.number} runs (${running.reason}); this one comes after it, with whatever else waits.`,
    );
  return `${lines.join('\n')}\n`;
}
