import type { Command } from 'commander';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { commandEnvironment } from './context.js';
import type { CheckReport, Group } from './doctor/check.js';
import { doctorText, verdict } from './doctor/doctor-text.js';
import { examine, progressText } from './doctor/examination.js';
import { createLiveLine } from './live-line.js';

const HELP = `
Checks what a sync of the account needs of Stripe, PostgreSQL and Temporal, as this environment names them, and changes
nothing anywhere. It asks Stripe some 85 times for one object. A worker may have another environment: run this where the
worker runs.

Exit code 1 where a check failed, 0 otherwise: warnings do not count.`;

/** Without a terminal, progress comes at this rhythm at most. */
const PROGRESS_EVERY_MS = 5_000;

export function configureDoctor(command: Command): void {
  command
    .argument('<alias>', 'the account; it need not run')
    .option('--json', 'as JSON, for programs')
    .addHelpText('after', HELP)
    .action(async (alias: string, options: { json?: boolean }) => {
      const account = validateAlias(alias);
      const reports = await examineWithProgress(account, options.json ?? false);
      process.stdout.write(
        options.json ? `${JSON.stringify(reports, null, 2)}\n` : doctorText(account, reports),
      );
      const failure = verdict(account, reports);
      if (failure !== null) throw new UserError(failure);
    });
}

async function examineWithProgress(account: string, json: boolean): Promise<CheckReport[]> {
  // The report alone is on stdout where a program reads it.
  const line = createLiveLine(json ? process.stderr : process.stdout);
  const parts = new Map<Group, string>();
  try {
    return await examine({
      env: commandEnvironment(),
      account,
      machineNow: Date.now,
      progress(group, text) {
        parts.set(group, text);
        line.show(`Checking: ${progressText(parts)}`, PROGRESS_EVERY_MS);
      },
    });
  } finally {
    line.clear();
  }
}
