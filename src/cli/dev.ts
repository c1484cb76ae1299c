import type { Command } from 'commander';
import { parsePositive, parseWhole } from './duration.js';

export interface DevOptions {
  readonly for?: number;
  readonly seed?: number;
  /** Changes a second. */
  readonly rate: number;
  readonly postgresPort: number;
  readonly temporalPort: number;
  readonly uiPort: number;
  readonly stripePort: number;
  /** Whether the simulator delivers webhooks to the worker. */
  readonly webhooks: boolean;
}

const HIGHEST_PORT = 65_535;

export function configureDev(command: Command): void {
  const port = parseWhole(1, HIGHEST_PORT);
  command
    .option(
      '--for <seconds>',
      'end by itself, compare the tables with the truth, and exit 1 on a difference',
      parseWhole(1, 1_000_000),
    )
    .option(
      '--seed <number>',
      "of the simulator's chance (default: 1, or that of the first start)",
      parseWhole(0),
    )
    .option('--rate <changes>', 'changes a second that the simulator makes', parsePositive(1_000), 2)
    .option('--postgres-port <port>', 'of the embedded PostgreSQL', port, 54_320)
    .option('--temporal-port <port>', 'of the Temporal server', port, 7233)
    .option('--ui-port <port>', "of Temporal's web UI", port, 8233)
    .option('--stripe-port <port>', 'of the Stripe simulator', port, 12_111)
    .option('--no-webhooks', 'poll alone: the simulator delivers no webhooks to the worker')
    .action(async (options: DevOptions) => {
      if (options.for === undefined) await (await import('./dev-until-asked.js')).runUntilAsked(options);
      else await (await import('./dev-bounded.js')).runBounded({ ...options, for: options.for });
    });
}
