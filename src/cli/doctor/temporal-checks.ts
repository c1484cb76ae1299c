/** What a sync needs of Temporal. Nothing is started, signalled or registered. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { loadConfig } from '../../config.js';
import { accountWorkflowId } from '../../domain/ids.js';
import { temporalTarget } from '../../temporal/connection.js';
import { readSchedules } from '../../temporal/schedules.js';
import { SEARCH_ATTRIBUTES } from '../../temporal/search-attributes.js';
import { queryStatus } from '../account-report.js';
import { span } from '../duration.js';
import { time } from '../status-text.js';
import { idleText, readTaskQueue } from '../task-queue.js';
import { openClient } from '../temporal-client.js';
import { temporalFailureText } from '../temporal-failure.js';
import {
  type CheckReport,
  createExaminer,
  type Finding,
  fail,
  foundAndRemedy,
  OUTER_DEADLINE_MS,
  ok,
  warn,
} from './check.js';
import type { Examination } from './examination.js';

const DAY_SECONDS = 86_400;
const { TASK_QUEUE_TYPE_ACTIVITY, TASK_QUEUE_TYPE_WORKFLOW } = proto.temporal.api.enums.v1.TaskQueueType;

export async function checkTemporal({ env, account, progress }: Examination): Promise<CheckReport[]> {
  const { check } = createExaminer('Temporal');
  progress('Temporal', 'connecting');
  let client: Client | null = null;
  const reachable = await check(
    'reachable',
    async (signal) => {
      const begun = performance.now();
      const opened = await openClient(env);
      // Whoever waited has gone on without it.
      if (signal.aborted) await opened.connection.close();
      else client = opened;
      const { serverVersion } = await opened.workflowService.getSystemInfo({});
      const { address, namespace } = temporalTarget(env);
      const tookMs = Math.round(performance.now() - begun);
      return ok(
        `${address}, namespace ${namespace}, server ${serverVersion || 'of unknown version'}, in ${tookMs} ms`,
      );
    },
    OUTER_DEADLINE_MS,
  );
  if (client === null) return [reachable];
  try {
    progress('Temporal', 'under way');
    const reports = await Promise.all(checksOf(check, client, env, account));
    progress('Temporal', 'done');
    return [reachable, ...reports];
  } finally {
    await (client as Client).connection.close().catch(() => undefined);
  }
}

function checksOf(
  check: ReturnType<typeof createExaminer>['check'],
  client: Client,
  env: NodeJS.ProcessEnv,
  account: string,
): Promise<CheckReport>[] {
  const during = (ask: (client: Client) => Promise<Finding>) => (signal: AbortSignal) =>
    client.connection.withAbortSignal(signal, () => ask(client));
  return [
    check('namespace', during(namespaceFinding)),
    check('search attributes', during(searchAttributesFinding)),
    check(
      'workers',
      during((client) => {
        const { taskQueue } = loadConfig(
          { STRIPE_SYNC_TASK_QUEUE: env.STRIPE_SYNC_TASK_QUEUE },
          { sandbox: true },
        );
        return workersFinding(client, taskQueue);
      }),
    ),
    check(
      'workflow',
      during((client) => workflowFinding(client, account)),
      OUTER_DEADLINE_MS,
    ),
    check(
      'schedules',
      during((client) => schedulesFinding(client, account)),
    ),
  ];
}

async function namespaceFinding(client: Client): Promise<Finding> {
  const { namespace } = client.options;
  const { config } = await client.workflowService.describeNamespace({ namespace });
  const seconds = config?.workflowExecutionRetentionTtl?.seconds;
  return retentionFinding(namespace, seconds == null ? null : Number(seconds));
}

/** @param seconds for which a workflow that has ended can be looked at; null where the server does not tell */
export function retentionFinding(namespace: string, seconds: number | null): Finding {
  if (seconds === null) return ok(`${namespace} exists`);
  const found = `${namespace} exists and keeps ended workflows for ${span(seconds)}`;
  if (seconds >= DAY_SECONDS) return ok(found);
  return warn(
    found,
    `A day at least lets you look into what failed: temporal operator namespace update --retention 72h ${namespace}`,
  );
}

async function searchAttributesFinding(client: Client): Promise<Finding> {
  const remedy =
    'Register them with: stripe-sync migrate (all but the search in the Temporal UI works without).';
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
      namespace: client.options.namespace,
    });
    const missing = SEARCH_ATTRIBUTES.filter((name) => customAttributes?.[name] === undefined);
    if (missing.length === 0) return ok(`${SEARCH_ATTRIBUTES.join(' and ')} are registered`);
    return warn(`${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not registered`, remedy);
  } catch (error) {
    const why = temporalFailureText(error);
    if (why === null) throw error;
    return warn(`nobody can tell whether they are registered: ${foundAndRemedy(why)[0]}`, remedy);
  }
}

async function workersFinding(client: Client, taskQueue: string): Promise<Finding> {
  const [workflows, activities] = await Promise.all([
    readTaskQueue(client, taskQueue, TASK_QUEUE_TYPE_WORKFLOW),
    readTaskQueue(client, taskQueue, TASK_QUEUE_TYPE_ACTIVITY),
  ]);
  if (workflows.servedSecondsAgo !== null && activities.servedSecondsAgo !== null) {
    const secondsAgo = Math.max(workflows.servedSecondsAgo, activities.servedSecondsAgo);
    const { current } = workflows;
    const by =
      current === null ? '' : `, by build ${current.buildId} of ${current.deploymentName}, the current one`;
    return ok(
      `the task queue ${taskQueue} was polled for workflows and activities ${span(secondsAgo)} ago${by}`,
    );
  }
  const idle = idleText(taskQueue, workflows.servedSecondsAgo === null ? workflows : activities);
  if (idle !== null) return fail(idle.found, idle.remedy);
  const missing = [
    ...(workflows.servedSecondsAgo === null ? ['workflows'] : []),
    ...(activities.servedSecondsAgo === null ? ['activities'] : []),
  ].join(' or ');
  return fail(
    `no worker polls the task queue ${taskQueue} for ${missing}`,
    'Start one with: stripe-sync worker (where one runs, compare its STRIPE_SYNC_TASK_QUEUE and TEMPORAL_NAMESPACE).',
  );
}

async function workflowFinding(client: Client, account: string): Promise<Finding> {
  const ended = await endOf(client, account);
  if (ended !== null) return warn(ended, `Start it with: stripe-sync start ${account}`);
  const status = await queryStatus(client, account);
  if (status === null)
    return warn(`${account} has just ended`, `Start it with: stripe-sync start ${account}`);
  if (status.trouble !== null) {
    const [found, remedy] = foundAndRemedy(status.trouble);
    return fail(`${account} is ${status.state}, and in trouble: ${found}`, remedy);
  }
  if (status.state === 'paused')
    return warn(`${account} is paused`, `Let it go on with: stripe-sync resume ${account}`);
  return ok(`${account} is ${status.state}`);
}

/** Why it does not run, in words; null where it does. */
async function endOf(client: Client, account: string): Promise<string | null> {
  try {
    const { status, closeTime } = await client.workflow.getHandle(accountWorkflowId(account)).describe();
    if (status.name === 'RUNNING') return null;
    const how = status.name === 'COMPLETED' ? 'was stopped' : `ended (${status.name.toLowerCase()})`;
    return `${account} ${how}${closeTime === undefined ? '' : ` at ${time(closeTime.getTime() / 1000)}`}`;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return `${account} does not run`;
    throw error;
  }
}

async function schedulesFinding(client: Client, account: string): Promise<Finding> {
  const [schedules, ended] = await Promise.all([readSchedules(client, account), endOf(client, account)]);
  const set = Object.entries(schedules).flatMap(([name, schedule]) =>
    schedule === null ? [] : [{ name, ...schedule }],
  );
  if (ended !== null) return ok('none are needed while the account does not run');
  if (set.length === 0) {
    return warn(
      'none is set, so what changes without an event goes unseen, and old events stay',
      `Unless they were switched off: stripe-sync stop ${account}, then stripe-sync start ${account}`,
    );
  }
  const found = set.map(({ name, paused, nextAt }) =>
    paused ? `${name} is paused` : `${name} ${nextAt === null ? 'never comes' : `comes at ${time(nextAt)}`}`,
  );
  if (!set.some(({ paused }) => paused)) return ok(found.join(', '));
  return warn(found.join(', '), `They go on with: stripe-sync resume ${account}`);
}
