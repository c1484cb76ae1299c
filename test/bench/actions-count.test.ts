import { describe, expect, it } from 'vitest';
import {
  addActions,
  countActions,
  deliveredHeartbeats,
  type HistoryEvent,
  NO_ACTIONS,
  totalActions,
} from '../../bench/actions-count.js';

const started: HistoryEvent = { type: 'WORKFLOW_EXECUTION_STARTED' };
const marker = (workflowTask: number, markerName = 'core_local_activity'): HistoryEvent => ({
  type: 'MARKER_RECORDED',
  markerName,
  workflowTask,
});

describe('the actions of a history', () => {
  it('are one for a start, and none for workflow tasks and what answers a command', () => {
    const history: HistoryEvent[] = [
      started,
      { type: 'WORKFLOW_TASK_SCHEDULED' },
      { type: 'WORKFLOW_TASK_STARTED' },
      { type: 'WORKFLOW_TASK_COMPLETED' },
      { type: 'TIMER_FIRED' },
      { type: 'CHILD_WORKFLOW_EXECUTION_STARTED' },
      { type: 'CHILD_WORKFLOW_EXECUTION_COMPLETED' },
      { type: 'WORKFLOW_EXECUTION_COMPLETED' },
    ];
    expect(totalActions(countActions(history))).toBe(1);
  });

  it('are two for a child, which its own start does not add to', () => {
    const parent = countActions([{ type: 'START_CHILD_WORKFLOW_EXECUTION_INITIATED' }]);
    const child = countActions([{ ...started, isChild: true }]);
    expect(totalActions(addActions(parent, child))).toBe(2);
  });

  it('are one for a continue-as-new, which the next run does not add to', () => {
    const first = countActions([{ type: 'WORKFLOW_EXECUTION_CONTINUED_AS_NEW' }]);
    const next = countActions([{ ...started, isContinued: true }]);
    expect(totalActions(addActions(first, next))).toBe(1);
  });

  it('are one for an activity and one for each retry of it', () => {
    const history: HistoryEvent[] = [
      { type: 'ACTIVITY_TASK_SCHEDULED' },
      { type: 'ACTIVITY_TASK_STARTED', attempt: 3 },
      { type: 'ACTIVITY_TASK_COMPLETED' },
    ];
    expect(countActions(history)).toMatchObject({ activities: 1, activityRetries: 2 });
    expect(totalActions(countActions(history))).toBe(3);
  });

  it('are one for an activity that has not begun', () => {
    expect(totalActions(countActions([{ type: 'ACTIVITY_TASK_SCHEDULED' }]))).toBe(1);
  });

  it('are one for all local activities of a workflow task, and one for those of the next', () => {
    expect(totalActions(countActions([marker(4), marker(4), marker(4)]))).toBe(1);
    expect(totalActions(countActions([marker(4), marker(9)]))).toBe(2);
  });

  it('are none for the marker of a patch, also beside a local activity', () => {
    expect(totalActions(countActions([marker(4, 'core_patch')]))).toBe(0);
    expect(totalActions(countActions([marker(4, 'core_patch'), marker(4)]))).toBe(1);
  });

  it('are one for a signal, where it arrives', () => {
    const sender = countActions([{ type: 'SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED' }]);
    const receiver = countActions([{ type: 'WORKFLOW_EXECUTION_SIGNALED' }]);
    expect(totalActions(addActions(sender, receiver))).toBe(1);
  });

  it('are one each for timers, updates and upserts of search attributes', () => {
    const history: HistoryEvent[] = [
      { type: 'TIMER_STARTED' },
      { type: 'WORKFLOW_EXECUTION_UPDATE_ACCEPTED' },
      { type: 'UPSERT_WORKFLOW_SEARCH_ATTRIBUTES' },
    ];
    expect(totalActions(countActions(history))).toBe(3);
  });

  it('are none for nothing', () => {
    expect(totalActions(NO_ACTIONS)).toBe(0);
    expect(countActions([])).toEqual(NO_ACTIONS);
  });
});

describe('the heartbeats that are delivered', () => {
  it('are the first, and one after each 80 % of the timeout', () => {
    expect(deliveredHeartbeats(7.9, 10)).toBe(1);
    expect(deliveredHeartbeats(60, 10)).toBe(8);
    expect(deliveredHeartbeats(60, 60)).toBe(2);
  });

  it('are none without a timeout', () => {
    expect(deliveredHeartbeats(60, 0)).toBe(0);
  });
});
