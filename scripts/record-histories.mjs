// Records histories of a running sandbox's workflows, for the replay tests of what was released:
//   node scripts/record-histories.mjs VERSION ALIAS
// (TEMPORAL_ADDRESS names the server.) Run it at each release; a recorded history is never changed.
import { mkdirSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

const [version, account] = process.argv.slice(2);
if (!version || !account) {
  console.error('usage: node scripts/record-histories.mjs VERSION ALIAS');
  process.exit(2);
}
/** So many of each workflow type, the longest first: they have seen the most. */
const OF_EACH_TYPE = 2;

const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233' });
const client = new Client({ connection });
const byType = new Map();
for await (const execution of client.workflow.list({ query: `WorkflowId STARTS_WITH '${account}'` })) {
  const known = byType.get(execution.type) ?? [];
  known.push(execution);
  byType.set(execution.type, known);
}
const folder = new URL(`../test/histories/${version}/`, import.meta.url);
mkdirSync(folder, { recursive: true });
for (const [type, executions] of byType) {
  const longest = executions.sort((a, b) => b.historyLength - a.historyLength).slice(0, OF_EACH_TYPE);
  for (const [index, { workflowId, runId }] of longest.entries()) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const json = gzipSync(historyToJSON(history));
    writeFileSync(new URL(`${type}-${index + 1}.json.gz`, folder), json);
    console.log(`${type}-${index + 1}.json.gz: ${workflowId}, ${history.events?.length} events`);
  }
}
await connection.close();
