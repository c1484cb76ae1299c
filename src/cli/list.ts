import { Command } from 'commander';
import { queryStatus } from './account-report.js';
import { commandEnvironment, withTemporal } from './context.js';

export function listCommand(): Command {
  return new Command('list').description('the accounts that run').action(async () => {
    await withTemporal(commandEnvironment(), async (client) => {
      const rows: string[][] = [];
      const query = "WorkflowType = 'account' AND ExecutionStatus = 'Running'";
      for await (const { workflowId, startTime } of client.workflow.list({ query })) {
        const status = await queryStatus(client, workflowId).catch(() => null);
        rows.push([
          workflowId,
          status?.state ?? 'no worker',
          status === null ? '' : `${status.behindSeconds} s`,
          status === null ? '' : String(status.counters.received),
          startTime.toISOString().slice(0, 19).replace('T', ' '),
        ]);
      }
      if (rows.length === 0) {
        process.stdout.write('No account runs. Start one with: stripe-sync start ALIAS\n');
        return;
      }
      process.stdout.write(table([['ALIAS', 'STATE', 'BEHIND', 'EVENTS', 'SINCE (UTC)'], ...rows]));
    });
  });
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
