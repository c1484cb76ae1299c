/** Who gets the tasks of a task queue: workers without a version, or those of the version that was made the current one. */
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { WorkerVersion } from '../config.js';

const { TASK_QUEUE_TYPE_WORKFLOW } = proto.temporal.api.enums.v1.TaskQueueType;
const { WORKER_VERSIONING_MODE_VERSIONED } = proto.temporal.api.enums.v1.WorkerVersioningMode;

/** A worker's long poll lasts a minute, so one that polls was seen within that and a bit. */
const SEEN_WITHIN_SECONDS = 90;

export interface TaskQueueService {
  /** Seconds since a worker polled that gets tasks; null where none did lately. */
  readonly servedSecondsAgo: number | null;
  /** The version that gets the tasks; null where they go to workers without one. */
  readonly current: WorkerVersion | null;
  /** Versions of workers that poll and get nothing; null among them stands for workers without a version. */
  readonly idle: readonly (WorkerVersion | null)[];
}

/** What the server knows of the workers of a task queue, for one kind of task. */
export async function readTaskQueue(
  client: Client,
  taskQueue: string,
  taskQueueType: proto.temporal.api.enums.v1.TaskQueueType = TASK_QUEUE_TYPE_WORKFLOW,
): Promise<TaskQueueService> {
  const { pollers, versioningInfo } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType,
  });
  const current = versionOf(versioningInfo?.currentDeploymentVersion);
  // While one ramps up, both get tasks.
  const isRamping = (versioningInfo?.rampingVersionPercentage ?? 0) > 0;
  const ramping = versionOf(versioningInfo?.rampingDeploymentVersion);
  const served = [nameOf(current), ...(isRamping ? [nameOf(ramping)] : [])];
  const idle = new Map<string, WorkerVersion | null>();
  let last: number | null = null;
  for (const { lastAccessTime, deploymentOptions } of pollers ?? []) {
    const isVersioned = deploymentOptions?.workerVersioningMode === WORKER_VERSIONING_MODE_VERSIONED;
    const version = isVersioned ? versionOf(deploymentOptions) : null;
    const secondsAgo = Math.max(0, Math.round(Date.now() / 1000 - Number(lastAccessTime?.seconds ?? 0)));
    if (secondsAgo > SEEN_WITHIN_SECONDS) continue;
    if (served.includes(nameOf(version))) last = Math.min(last ?? secondsAgo, secondsAgo);
    else idle.set(nameOf(version), version);
  }
  return { servedSecondsAgo: last, current, idle: [...idle.values()] };
}

/** Whether a worker polls the task queue and gets its tasks, as far as the server knows. */
export async function hasWorker(client: Client, taskQueue: string): Promise<boolean> {
  return (await readTaskQueue(client, taskQueue)).servedSecondsAgo !== null;
}

/** Why no worker would take what is put on the task queue, and what to do; null where one does. */
export async function whyNoWorker(client: Client, taskQueue: string): Promise<string | null> {
  const service = await readTaskQueue(client, taskQueue);
  if (service.servedSecondsAgo !== null) return null;
  const idle = idleText(taskQueue, service);
  if (idle !== null) return `${idle.found}, so nothing would run. ${idle.remedy}`;
  return `No worker polls the task queue ${taskQueue}, so nothing would run. Start one with: stripe-sync worker`;
}

/** Workers poll, and none of them gets a task: why, and what to do. Null where none polls at all. */
export function idleText(
  taskQueue: string,
  { current, idle }: TaskQueueService,
): { readonly found: string; readonly remedy: string } | null {
  if (idle.length === 0) return null;
  const versions = idle.filter((version) => version !== null);
  if (current === null) {
    return {
      found: `Workers poll the task queue ${taskQueue}, but no version is current`,
      remedy: `Run: ${versions.map(makeCurrent).join(' (or) ')}`,
    };
  }
  const waiting = [
    ...versions.map((version) => `build ${version.buildId} of ${version.deploymentName}`),
    ...(idle.includes(null) ? ['workers without a version'] : []),
  ].join(' and ');
  const start = `stripe-sync worker --deployment ${current.deploymentName} --build-id ${current.buildId}`;
  const others = versions.map((version) => `, or let another version take over: ${makeCurrent(version)}`);
  return {
    found:
      `The tasks of ${taskQueue} go to build ${current.buildId} of ${current.deploymentName}, of which no worker polls ` +
      `(${waiting} do, and get nothing)`,
    remedy: `Start one with: ${start}${others.join('')}`,
  };
}

export function makeCurrent({ deploymentName, buildId }: WorkerVersion): string {
  return `temporal worker deployment set-current-version --deployment-name ${deploymentName} --build-id ${buildId}`;
}

function versionOf(
  given: { readonly deploymentName?: string | null; readonly buildId?: string | null } | null | undefined,
): WorkerVersion | null {
  return given?.deploymentName && given.buildId
    ? { deploymentName: given.deploymentName, buildId: given.buildId }
    : null;
}

/** Empty for workers without a version. */
function nameOf(version: WorkerVersion | null): string {
  return version === null ? '' : `${version.deploymentName} ${version.buildId}`;
}
