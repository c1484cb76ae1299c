import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';

/** A worker's long poll lasts a minute, so one that polls was seen within that and a bit. */
const SEEN_WITHIN_SECONDS = 90;

/** Whether a worker polls the task queue, as far as the server knows. */
export async function hasWorker(client: Client, taskQueue: string): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  const recently = Date.now() / 1000 - SEEN_WITHIN_SECONDS;
  return (pollers ?? []).some((poller) => Number(poller.lastAccessTime?.seconds ?? 0) > recently);
}
