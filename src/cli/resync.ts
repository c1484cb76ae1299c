import type { Command } from 'commander';
import { type ResyncRequest, resyncSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { accountWorkflowId } from '../domain/ids.js';
import { backfillPhases, typesToList } from '../stripe/listings.js';
import { queryStatus } from './account-report.js';
import { backfillName } from './backfill-bars.js';
import { followBackfill } from './backfill-progress.js';
import { commandEnvironment } from './context.js';
import { parseSince } from './duration.js';
import { withDatabaseIfAny } from './listing-progress.js';
import { shutdownRequested } from './shutdown.js';
import { orNotRunning } from './signals.js';
import { time } from './status-text.js';
import { withTemporal } from './temporal-client.js';
import { embeddedText, parseTypes } from './types-option.js';

interface ResyncOptions {
  readonly types?: string[];
  /** Seconds since 1970. */
  readonly since?: number;
  readonly wait?: boolean;
}

const HELP = `
With --since a listing shows what was created from then on, and finds neither deletions nor older objects that changed.
Types whose lists cannot be narrowed so are left out; named with --types they are wrong usage.

One backfill runs at a time. What is asked for meanwhile comes after it, and requests that name their types become one.
With --wait, exit code 1 where a type could not be listed to its end.`;

export function configureResync(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option('--types <names>', 'only these: object or table names, separated by commas', parseTypes)
    .option('--since <time>', 'only what was created since then: so long ago (7d), or a date', parseSince)
    .option('--wait', 'until it is done, with progress (Ctrl-C leaves it)')
    .addHelpText('after', HELP)
    .action(async (alias: string, options: ResyncOptions) => {
      const account = validateAlias(alias);
      const fixed = notNarrowable(options);
      if (fixed.length > 0) {
        command.error(
          `error: --since cannot be told to the lists of ${fixed.join(', ')}: they show everything, whenever it was created. ` +
            'Leave --since or these types out.',
        );
      }
      await resync(account, options);
    });
}

function notNarrowable({ types, since }: ResyncOptions): string[] {
  if (types === undefined || since === undefined) return [];
  return backfillPhases(typesToList(types), () => true).leftOut.map(({ object }) => object);
}

async function resync(account: string, options: ResyncOptions): Promise<void> {
  const env = commandEnvironment();
  const types = options.types === undefined ? undefined : typesToList(options.types);
  const request: ResyncRequest = {
    ...(types === undefined ? {} : { types }),
    ...(options.since === undefined ? {} : { since: options.since }),
  };
  await withTemporal(env, async (client) => {
    const before = await queryStatus(client, account).catch((error: unknown) => {
      // Without --wait nobody has to answer: the signal waits for a worker.
      if (options.wait) throw error;
      return null;
    });
    const handle = client.workflow.getHandle(accountWorkflowId(account));
    await orNotRunning(account, () => handle.signal(resyncSignal, request));
    process.stdout.write(`${askedText(account, request)}\n`);
    if (options.types !== undefined) process.stdout.write(embeddedText(options.types));
    const last = before?.backfill ?? null;
    if (last?.state === 'running') {
      process.stdout.write(
        `${backfillName(last)} runs; this one comes after it, alone or with what else waits by then.\n`,
      );
    }
    if (!options.wait) return;
    const left = new AbortController();
    void shutdownRequested().then(() => left.abort());
    const number = (last?.number ?? 0) + 1;
    await withDatabaseIfAny(env, (pool) =>
      followBackfill(client, account, { number, request, pool, left: left.signal }),
    );
    if (left.signal.aborted) process.stdout.write('The backfill goes on without being watched.\n');
  });
}

function askedText(account: string, { types, since }: ResyncRequest): string {
  const what = `${account} lists ${types?.join(', ') ?? 'all types'} again`;
  if (since === undefined) return `${what}.`;
  const leavesOut =
    types === undefined
      ? ' Types whose lists cannot be narrowed to what was created since a time are left out.'
      : '';
  return `${what}, what was created from ${time(since)} on. Such a listing finds no deletions.${leavesOut}`;
}
