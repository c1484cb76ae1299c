import type { Command } from 'commander';
import { loadConfig } from '../config.js';
import { migrate } from '../postgres/migrate.js';
import { registerSearchAttributes } from '../temporal/search-attributes.js';
import { commandEnvironment } from './context.js';
import { assertReachable } from './database.js';
import { failureText, forPeople } from './failure-text.js';
import { withTemporal } from './temporal-client.js';

export function configureMigrate(command: Command): void {
  command.action(async () => {
    const env = commandEnvironment();
    const { databaseUrl } = loadConfig(env);
    await assertReachable(databaseUrl);
    try {
      await migrate({ connectionString: databaseUrl, log: (line) => process.stdout.write(`${line}\n`) });
    } catch (error) {
      throw forPeople(error);
    }
    process.stdout.write('PostgreSQL is up to date.\n');
    try {
      const registered = await withTemporal(env, registerSearchAttributes);
      process.stdout.write(
        registered
          ? 'Temporal knows the search attributes StripeAccount and StripeObject.\n'
          : 'Temporal did not take the search attributes StripeAccount and StripeObject; everything runs without them.\n',
      );
    } catch (error) {
      process.stdout.write(
        `The search attributes are not registered. ${failureText(error).text}\n` +
          'Everything runs without them; to register them, run this command again.\n',
      );
    }
  });
}
