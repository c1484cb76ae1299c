import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

type History = temporal.api.history.v1.IHistory;

/** Every execution whose workflow id begins with the account's alias, with its history. */
export async function historiesOf(
  client: Client,
  account: string,
): Promise<{ workflowId: string; runId: string; type: string; history: History }[]> {
  const found = [];
  const query = `WorkflowId STARTS_WITH '${account}'`;
  for await (const { workflowId, runId, type } of client.workflow.list({ query })) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    found.push({ workflowId, runId, type, history });
  }
  return found;
}

/** All that a history says, with every payload decoded: what a person with access to Temporal could read. */
export function readable(history: unknown): string {
  const seen: string[] = [];
  const visit = (value: unknown): void => {
    if (value instanceof Uint8Array) seen.push(Buffer.from(value).toString('utf8'));
    else if (typeof value === 'string') seen.push(value);
    else if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      seen.push(...Object.keys(value));
      Object.values(value).forEach(visit);
    }
  };
  visit(history);
  return seen.join('\n');
}
