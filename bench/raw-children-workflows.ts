/** What Temporal can do at all: workflows with nothing of a sync in them, in a bundle of their own. */
import { ParentClosePolicy, proxyLocalActivities, startChild } from '@temporalio/workflow';

export interface ParentInput {
  readonly child: 'emptyChild' | 'childWithOneActivity';
  readonly count: number;
  readonly inFlight: number;
  readonly prefix: string;
}

const { nothing } = proxyLocalActivities<{ nothing(): Promise<void> }>({
  startToCloseTimeout: '20 seconds',
});

export async function emptyChild(): Promise<void> {}

export async function childWithOneActivity(): Promise<void> {
  await nothing();
}

/** Starts so many children, so many at a time, as an account starts its entities: abandoned, and watched. */
export async function parent({ child, count, inFlight, prefix }: ParentInput): Promise<number> {
  let next = 0;
  let done = 0;
  const lane = async () => {
    while (next < count) {
      const workflowId = `${prefix}/${next}`;
      next += 1;
      const handle = await startChild(child, { workflowId, parentClosePolicy: ParentClosePolicy.ABANDON });
      await handle.result();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return done;
}
