import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { validateAlias } from '../config.js';
import { reportAccount } from './account-report.js';
import { commandEnvironment, withDatabase, withTemporal } from './context.js';
import { shutdownRequested } from './shutdown.js';
import { statusText } from './status-text.js';

const WATCH_EVERY_MS = 2_000;

export function statusCommand(): Command {
  return new Command('status')
    .description('how far an account is')
    .argument('<alias>', 'the account')
    .option('--json', 'as JSON, for programs')
    .option('--watch', 'again and again, until Ctrl-C')
    .action(async (alias: string, options: { json?: boolean; watch?: boolean }) => {
      const account = validateAlias(alias);
      const env = commandEnvironment();
      await withTemporal(env, (client) =>
        withDatabase(env, async (pool) => {
          const show = async () => {
            const report = await reportAccount(client, pool, account);
            if (options.json) return `${JSON.stringify(report, null, options.watch ? 0 : 2)}\n`;
            return `${options.watch && process.stdout.isTTY ? '\x1b[2J\x1b[H' : ''}${statusText(report)}\n`;
          };
          process.stdout.write(await show());
          if (!options.watch) return;
          const ended = shutdownRequested().then(() => true);
          while (!(await Promise.race([ended, sleep(WATCH_EVERY_MS, false)])))
            process.stdout.write(await show());
        }),
      );
    });
}
