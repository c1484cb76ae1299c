import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  QueryNotRegisteredError,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Pool } from 'pg';
import type { AuditSummary } from '../../activities/finish-audit.js';
import type { AuditInput } from '../../workflows/audit.js';
import { type AuditProgress, auditProgressQuery, auditProgressText } from '../../workflows/audit-progress.js';
import { findableBy } from '../../workflows/search-attributes.js';
import { loadConfig, validateAlias } from '../config.js';
import { isClean, remainingOf } from '../domain/audit.js';
import type { AuditResult } from '../domain/audit-result.js';
import { UserError } from '../domain/failures.js';
import { type EndedAudit, readAudit } from '../postgres/read-audits.js';
import { resolveTypes, UnknownTypesError } from '../stripe/catalog.js';
import { listingOf } from '../stripe/listings.js';
import { isRunning } from '../temporal/launch-account.js';
import { hasSearchAttributes } from '../temporal/search-attributes.js';
import { auditText } from './audit-text.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { parseDuration } from './duration.js';
import { assertKnown } from './failures.js';
import { createLiveLine } from './live-line.js';
import { shutdownRequested, within } from './shutdown.js';
import { hasWorker, whyNoWorker } from './task-queue.js';
import { withTemporal } from './temporal-client.js';

/** The shape of `audit --json`. Seconds; fields are added, never renamed. */
export interface AuditReport extends Omit<EndedAudit, 'result' | 'state' | 'reason'>, AuditResult {
  /** Differences that are left, once what was healed is taken off. */
  readonly remaining: number;
  /** Whether everything that was to be compared is equal. */
  readonly clean: boolean;
}

interface AuditOptions {
  /** Seconds. */
  readonly since: number;
  readonly types?: string[];
  readonly heal?: boolean;
  readonly json?: boolean;
}

const HELP = `
Compared are all objects of the types that have a list of their own, whatever their age, and the events that were
created in the window. Types that are listed under other objects are compared where --types names them, one request
or more for each of those. What differs is looked at again, past the lag and read by itself, before it is reported.

Exit code 1 where anything differs and remains, could not be made sure of, or should have been compared and could not
be; 0 otherwise: with --heal also where all that differed was healed.`;

export function configureAudit(command: Command): void {
  command
    .argument('<alias>', 'the account; it need not run, but a worker has to')
    .addOption(
      new Option(
        '--since <duration>',
        'events that were created in the last 1h, 7d, … are compared with the ledger',
      )
        .argParser(parseDuration('1m', '30d'))
        .default(86_400, '24h'),
    )
    .option('--types <names>', 'only these: object or table names, separated by commas', parseAuditTypes)
    .option(
      '--heal',
      'repairs what differs: each object is read and written anew, missing events go into the ledger',
    )
    .option('--json', 'all of it as JSON, for programs')
    .addHelpText('after', HELP)
    .action(async (alias: string, options: AuditOptions) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      const { taskQueue } = loadConfig(env);
      await withDatabase(env, async (pool) => {
        await assertKnown(env, pool, account);
        await withTemporal(env, (client) => runAudit(client, pool, { account, taskQueue }, options));
      });
    });
}

async function runAudit(
  client: Client,
  pool: Pool,
  { account, taskQueue }: { readonly account: string; readonly taskQueue: string },
  options: AuditOptions,
): Promise<void> {
  const handle = await startAudit(client, { account, taskQueue }, options);
  const summary = await follow(client, taskQueue, handle, options.json ?? false);
  if (summary === null) {
    process.stderr.write(`The audit goes on. Its result will be in: stripe-sync status ${account}\n`);
    return;
  }
  const audit = await readAudit(pool, account, summary.number);
  if (audit?.result == null)
    throw new UserError(`The result of audit ${summary.number} of ${account} is not there any more.`);
  const report = reportOf(audit, audit.result);
  const runs = await isRunning(client, account);
  process.stdout.write(`${options.json ? JSON.stringify(report, null, 2) : auditText(report, runs)}\n`);
  if (!report.clean) throw new UserError(verdict(report));
}

function reportOf(audit: EndedAudit, result: AuditResult): AuditReport {
  const { result: _result, state: _state, reason: _reason, ...facts } = audit;
  const { totals } = result;
  return { ...facts, remaining: remainingOf(totals), clean: isClean(totals), ...result };
}

function verdict({ account, remaining, heal, totals }: AuditReport): string {
  const parts = [
    ...(remaining > 0
      ? [`${remaining} ${remaining === 1 ? 'difference remains' : 'differences remain'}`]
      : []),
    ...(totals.unverified > 0 ? [`${totals.unverified} could not be made sure of`] : []),
    ...(totals.notCompared > 0 ? [`${totals.notCompared} types could not be compared`] : []),
  ];
  const remedy = heal || remaining === 0 ? '' : ` Repair it with: stripe-sync audit ${account} --heal`;
  return `${account} is not proven equal to Stripe: ${parts.join(', ')}.${remedy}`;
}

/** @throws UserError where no worker would run it */
async function startAudit(
  client: Client,
  { account, taskQueue }: { readonly account: string; readonly taskQueue: string },
  options: AuditOptions,
): Promise<WorkflowHandle> {
  const why = await whyNoWorker(client, taskQueue);
  if (why !== null) throw new UserError(why);
  const input: AuditInput = {
    account,
    sinceSeconds: options.since,
    types: options.types ?? null,
    heal: options.heal ?? false,
  };
  return client.workflow.start('audit', {
    workflowId: `${account}/audit/${Date.now()}`,
    taskQueue,
    args: [input],
    staticSummary: `Audit of ${account}: ${options.types?.join(', ') ?? 'all types'}${options.heal ? ', healing' : ''}`,
    ...findableBy(await hasSearchAttributes(client), account),
  });
}

const LOOK_EVERY_MS = 1_000;
/** Without a terminal, progress comes at this rhythm at most. */
const PROGRESS_EVERY_MS = 5_000;

/**
 * Shows the progress until the audit ends. Null where Ctrl-C came first: that ends the waiting, not the audit.
 * @throws UserError where it fails
 */
async function follow(
  client: Client,
  taskQueue: string,
  handle: WorkflowHandle,
  json: boolean,
): Promise<AuditSummary | null> {
  // The report alone is on stdout where a program reads it.
  const line = createLiveLine(json ? process.stderr : process.stdout);
  const result: Promise<AuditSummary> = handle.result();
  const ended = result.then(
    () => 'ended' as const,
    () => 'ended' as const,
  );
  const asked = shutdownRequested();
  let isAlone = false;
  try {
    for (;;) {
      const event = await within(Promise.race([ended, asked]), LOOK_EVERY_MS);
      if (event === 'ended') return await result;
      if (event !== undefined) return null;
      const progress = await progressOf(client, handle);
      if (progress !== null) line.show(auditProgressText(progress), PROGRESS_EVERY_MS);
      const isLeft = progress === null && !(await hasWorker(client, taskQueue));
      if (isLeft && !isAlone)
        line.say('No worker answers; the audit goes on once one runs: stripe-sync worker');
      isAlone = isLeft;
    }
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new UserError(`The audit failed. ${reasonOf(error.cause)}`);
  } finally {
    line.clear();
  }
}

const QUERY_TIMEOUT_MS = 3_000;

/** Null where no worker tells. */
async function progressOf(client: Client, handle: WorkflowHandle): Promise<AuditProgress | null> {
  try {
    return await client.connection.withDeadline(Date.now() + QUERY_TIMEOUT_MS, () =>
      handle.query(auditProgressQuery),
    );
  } catch (error) {
    // Asked before its first task.
    if (error instanceof QueryNotRegisteredError) await sleep(LOOK_EVERY_MS);
    return null;
  }
}

function reasonOf(cause: Error | undefined): string {
  if (cause instanceof ActivityFailure && cause.cause instanceof ApplicationFailure)
    return cause.cause.message;
  if (cause instanceof ApplicationFailure) return cause.message;
  return 'It was ended from outside: see the Temporal UI.';
}

/** Parses `--types`: object and table names alike, separated by commas. Returns object names. */
function parseAuditTypes(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Name at least one type.');
  try {
    const objects = resolveTypes(names).map((entry) => entry.object);
    const problems = objects.flatMap(whyNot);
    if (problems.length > 0) throw new InvalidArgumentError(`${problems.join('; ')}.`);
    return objects;
  } catch (error) {
    if (error instanceof UnknownTypesError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

function whyNot(object: string): string[] {
  const listing = listingOf(object);
  switch (listing.how) {
    case 'embedded':
      return [`${object} has no list of its own: compare the ${listing.parent} that holds it`];
    case 'events':
    case 'nothing':
      return [`${object} cannot be compared: ${listing.why}`];
    default:
      return [];
  }
}
