import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { Pool } from 'pg';
import { validateAlias } from '../config.js';
import { reportAccount } from './account-report.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { failureText } from './failure-text.js';
import { shutdownRequested, within } from './shutdown.js';
import { statusText } from './status-text.js';
import { withTemporal } from './temporal-client.js';

interface StatusOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_EVERY_MS = 2_000;
const CLEAR_SCREEN = '\x1b[2J\x1b[H';

export function configureStatus(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option('--json', 'as JSON, for programs')
    .option('--watch', 'again and again, until Ctrl-C')
    .action(async (alias: string, options: StatusOptions) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      await withTemporal(env, (client) =>
        withDatabase(env, async (pool) => {
          const shown = await show(client, pool, account, options);
          if (!options.watch) process.stdout.write(shown);
          else await watch(shown, () => show(client, pool, account, options));
        }),
      );
    });
}

async function show(client: Client, pool: Pool, account: string, options: StatusOptions): Promise<string> {
  const report = await reportAccount(client, pool, account);
  if (options.json) return `${JSON.stringify(report, null, options.watch ? 0 : 2)}\n`;
  return `${statusText(report)}\n`;
}

/** Shows the status until a signal comes. What fails meanwhile is told, and looked at again. */
async function watch(first: string, look: () => Promise<string>): Promise<void> {
  const asked = shutdownRequested();
  for (let shown = first; ; shown = await look().catch(told)) {
    process.stdout.write(`${process.stdout.isTTY ? CLEAR_SCREEN : ''}${shown}`);
    if ((await within(asked, WATCH_EVERY_MS)) !== undefined) return;
  }
}

/** A failure in the place of the status, where a person looks on; beside it otherwise. */
function told(error: unknown): string {
  const text = `stripe-sync: ${failureText(error).text}\n`;
  if (process.stdout.isTTY) return text;
  process.stderr.write(text);
  return '';
}
