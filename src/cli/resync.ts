import type { Command } from 'commander';
import { resyncSignal } from '../../workflows/messages.js';
import { validateAlias } from '../config.js';
import { accountWorkflowId } from '../domain/ids.js';
import { queryStatus } from './account-report.js';
import { followBackfill } from './backfill-progress.js';
import { commandEnvironment } from './context.js';
import { orNotRunning } from './signals.js';
import { withTemporal } from './temporal-client.js';
import { parseTypes } from './types-option.js';

export function configureResync(command: Command): void {
  command
    .argument('<alias>', 'the account')
    .option('--types <names>', 'only these: object or table names, separated by commas', parseTypes)
    .option('--wait', 'until it is done, with progress')
    .action(async (alias: string, options: { types?: string[]; wait?: boolean }) => {
      const account = validateAlias(alias);
      await withTemporal(commandEnvironment(), async (client) => {
        const before = options.wait ? await queryStatus(client, account) : null;
        const handle = client.workflow.getHandle(accountWorkflowId(account));
        const request = options.types === undefined ? {} : { types: options.types };
        await orNotRunning(account, () => handle.signal(resyncSignal, request));
        process.stdout.write(`${account} lists ${options.types?.join(', ') ?? 'all types'} again.\n`);
        // A backfill that runs already ends before the one that was asked for begins.
        const number = (before?.backfill?.number ?? 0) + 1;
        if (options.wait) await followBackfill(client, account, number, { asked: true });
      });
    });
}
