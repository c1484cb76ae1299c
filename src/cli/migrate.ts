import { Command } from 'commander';
import { loadConfig } from '../config.js';
import { migrate } from '../postgres/migrate.js';
import { registerSearchAttributes } from '../temporal/search-attributes.js';
import { commandEnvironment, withTemporal } from './context.js';

export function migrateCommand(): Command {
  return new Command('migrate')
    .description(
      'creates or updates the schemas, and registers the search attributes where Temporal allows it',
    )
    .action(async () => {
      const env = commandEnvironment();
      const { databaseUrl } = loadConfig(env);
      await migrate({ connectionString: databaseUrl, log: (line) => process.stdout.write(`${line}\n`) });
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
          `The search attributes are not registered: ${error instanceof Error ? error.message : String(error)}\n` +
            'Everything runs without them; run this command again to register them.\n',
        );
      }
    });
}
