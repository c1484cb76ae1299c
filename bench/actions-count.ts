/**
 * Temporal's billable actions, counted from histories, as its documentation of actions names them. What histories do not
 * show (delivered heartbeats, queries, what a schedule costs beside its workflow's start) is not among them.
 */

/** As an event of a history comes through the client; enums by their names. */
export interface HistoryEvent {
  /** Of `EventType`, without its prefix. */
  readonly type: string;
  /** How often it was tried, of an activity's start. */
  readonly attempt?: number;
  readonly markerName?: string;
  /** The workflow task whose commands made it. */
  readonly workflowTask?: number;
  /** Of a workflow's start: by whom, or as the next run of which. */
  readonly isChild?: boolean;
  readonly isContinued?: boolean;
}

export interface Actions {
  readonly workflowStarts: number;
  readonly continuedAsNew: number;
  /** Two each: the intent, and the start. */
  readonly childStarts: number;
  readonly activities: number;
  readonly activityRetries: number;
  /** Workflow tasks with markers: all local activities of one are one action. */
  readonly localActivityTasks: number;
  readonly timers: number;
  readonly signals: number;
  readonly updates: number;
  readonly attributeUpserts: number;
}

export const NO_ACTIONS: Actions = {
  workflowStarts: 0,
  continuedAsNew: 0,
  childStarts: 0,
  activities: 0,
  activityRetries: 0,
  localActivityTasks: 0,
  timers: 0,
  signals: 0,
  updates: 0,
  attributeUpserts: 0,
};

/** Markers of `patched`: Temporal's own bookkeeping. */
const VERSION_MARKER = 'core_patch';

/** What one run's history holds. */
export function countActions(history: readonly HistoryEvent[]): Actions {
  const count = { ...NO_ACTIONS };
  const markedTasks = new Set<number>();
  for (const { type, attempt = 1, markerName, workflowTask = 0, isChild, isContinued } of history) {
    switch (type) {
      case 'WORKFLOW_EXECUTION_STARTED':
        // A child's start is in its parent's two, and a next run's in the one that ended the run before.
        if (!isChild && !isContinued) count.workflowStarts += 1;
        break;
      case 'WORKFLOW_EXECUTION_CONTINUED_AS_NEW':
        count.continuedAsNew += 1;
        break;
      case 'START_CHILD_WORKFLOW_EXECUTION_INITIATED':
        count.childStarts += 1;
        break;
      case 'ACTIVITY_TASK_SCHEDULED':
        count.activities += 1;
        break;
      case 'ACTIVITY_TASK_STARTED':
        count.activityRetries += attempt - 1;
        break;
      case 'MARKER_RECORDED':
        if (markerName !== VERSION_MARKER) markedTasks.add(workflowTask);
        break;
      case 'TIMER_STARTED':
        count.timers += 1;
        break;
      case 'WORKFLOW_EXECUTION_SIGNALED':
        // Once, where it arrives: the sender's history shows the same signal.
        count.signals += 1;
        break;
      case 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED':
        count.updates += 1;
        break;
      case 'UPSERT_WORKFLOW_SEARCH_ATTRIBUTES':
        count.attributeUpserts += 1;
        break;
    }
  }
  return { ...count, localActivityTasks: markedTasks.size };
}

export function addActions(a: Actions, b: Actions): Actions {
  const names = Object.keys(a) as (keyof Actions)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + b[name]])) as unknown as Actions;
}

export function totalActions({ childStarts, ...others }: Actions): number {
  return Object.values(others).reduce((sum, count) => sum + count, 2 * childStarts);
}

/** The SDK hands a heartbeat on after this part of its timeout has passed since the last one, and no sooner. */
const THROTTLE = 0.8;

/** Heartbeats that reach the server of an activity that beats all the time: the first does at once. */
export function deliveredHeartbeats(runSeconds: number, timeoutSeconds: number): number {
  return timeoutSeconds === 0 ? 0 : 1 + Math.floor(runSeconds / (timeoutSeconds * THROTTLE));
}

/** Text that says where the actions come from, the most of them first. */
export function actionsText(actions: Actions, heartbeats: number): string {
  const parts = Object.entries({ ...actions, childStarts: 2 * actions.childStarts, heartbeats });
  return parts
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${Math.round(count * 100) / 100}`)
    .join(', ');
}
