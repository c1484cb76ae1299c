import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { behindOf, queryStatus } from './account-report.js';
import { commandEnvironment } from './context.js';
import { span } from './duration.js';
import { time } from './status-text.js';
import { withTemporal } from './temporal-client.js';

const HEADER = ['ALIAS', 'STATE', 'BEHIND', 'EVENTS', 'SINCE'];
const QUERY = "WorkflowType = 'account' AND ExecutionStatus = 'Running'";

export function configureList(command: Command): void {
  command.action(async () => {
    const rows = await withTemporal(commandEnvironment(), readRows);
    process.stdout.write(
      rows.length === 0
        ? 'No account runs. Start one with: stripe-sync start ALIAS\n'
        : table([HEADER, ...rows]),
    );
  });
}

async function readRows(client: Client): Promise<string[][]> {
  const rows: Promise<string[]>[] = [];
  for await (const { workflowId, startTime } of client.workflow.list({ query: QUERY })) {
    rows.push(readRow(client, workflowId, startTime));
  }
  return (await Promise.all(rows)).sort(([a = ''], [b = '']) => a.localeCompare(b));
}

/** An account whose workflow nobody can ask is listed all the same. */
async function readRow(client: Client, account: string, startedAt: Date): Promise<string[]> {
  const since = time(startedAt.getTime() / 1000);
  try {
    const status = await queryStatus(client, account);
    if (status === null) return [account, 'stopped', '', '', since];
    return [account, status.state, span(behindOf(status)), String(status.counters.received), since];
  } catch {
    return [account, 'no worker', '', '', since];
  }
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
