import type { Command } from 'commander';
import type { Pool } from 'pg';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { readAccount } from '../postgres/account-row.js';
import { type ReadFailures, readFailures } from '../postgres/read-failures.js';
import { isRunning } from '../temporal/launch-account.js';
import { commandEnvironment } from './context.js';
import { withDatabase } from './database.js';
import { failuresText } from './failures-text.js';
import { withTemporal } from './temporal-client.js';

/** The shape of `failures --json`. Fields are added, never renamed. */
export interface FailuresReport extends ReadFailures {
  readonly account: string;
}

/** Changes of each kind that are shown to people; `--json` has them all. */
const MOST_SHOWN = 50;

export function configureFailures(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option('--json', 'all of them as JSON, for programs')
    .action(async (alias: string, options: { json?: boolean }) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      await withDatabase(env, async (pool) => {
        await assertKnown(env, pool, account);
        const failures = await readFailures(pool, account, options.json ? null : MOST_SHOWN);
        const report: FailuresReport = { account, ...failures };
        process.stdout.write(
          `${options.json ? JSON.stringify(report, null, 2) : failuresText(report, process.stdout.columns)}\n`,
        );
      });
    });
}

/**
 * The ledger alone tells what failed, so neither a worker nor Temporal has to run. Only an account that has just been
 * started has no copy yet, and then Temporal is asked.
 *
 * @throws UserError where nobody knows the account
 */
export async function assertKnown(env: NodeJS.ProcessEnv, pool: Pool, account: string): Promise<void> {
  if ((await readAccount(pool, account)) !== null) return;
  if (await withTemporal(env, (client) => isRunning(client, account))) return;
  throw new UserError(`There is no account ${account}. Start it with: stripe-sync start ${account}`);
}
