/** The loop of an account without Temporal: the activities and decisions of the workflow, one after the other. */
import {
  type AccountState,
  afterFetch,
  afterRescan,
  openedState,
  rescanWindow,
} from '../../src/domain/account-state.js';
import type { EventReference } from '../../src/domain/references.js';
import type { ActivityRoom } from './activity-room.js';

export interface PollLoopOptions {
  readonly lag?: { readonly floorSeconds: number; readonly maxSeconds: number };
  readonly pollSeconds?: number;
  readonly waitSeconds?: number;
  readonly pageCap?: number;
}

export interface PollLoop {
  state(): AccountState;
  /** References in the order in which they were handed on. */
  readonly handedOn: EventReference[];
  open(fresh?: boolean): Promise<void>;
  fetch(): Promise<void>;
  /** Fetches until the time is over, or `until` says so. */
  run(seconds: number, until?: () => boolean): Promise<void>;
  rescan(windowSeconds: number): Promise<void>;
}

export function createPollLoop(room: ActivityRoom, options: PollLoopOptions = {}): PollLoop {
  const limits = options.lag ?? { floorSeconds: 5, maxSeconds: 300 };
  const { pollSeconds = 1, waitSeconds = 5, pageCap = 10 } = options;
  const handedOn: EventReference[] = [];
  const { account } = room;
  let state = openedState({ cursor: null, anchor: 0, lagSeconds: null, apiVersion: null }, limits);

  async function fetch(): Promise<void> {
    const { cursor, anchor, trail = [], lookedAt = null, news = 0, frontier, lag, caughtUp, trouble } = state;
    const { report, references } = await room.run('fetchEvents', {
      account,
      cursor,
      anchor,
      trail,
      lookedAt,
      news,
      frontier,
      lagSeconds: lag.seconds,
      limits,
      room: 1_000,
      waitSeconds,
      pollSeconds,
      pageCap,
      freeOlderThanSeconds: null,
      caughtUp,
      trouble,
    });
    handedOn.push(...references);
    const before = state.cursor?.created ?? -1;
    state = afterFetch(state, report, limits);
    if ((state.cursor?.created ?? -1) < before) throw new Error('the cursor went back');
  }

  return {
    state: () => state,
    handedOn,
    async open(fresh = false) {
      const opened = await room.run('openAccount', { account, fresh, lagSeconds: limits.floorSeconds });
      state = openedState(opened, limits);
    },
    fetch,
    async run(seconds, until = () => false) {
      const end = performance.now() + seconds * 1_000;
      while (performance.now() < end && !until()) await fetch();
    },
    async rescan(windowSeconds) {
      const window = rescanWindow(state, windowSeconds);
      if (window === null) throw new Error('there is nothing behind the cursor');
      const report = await room.run('rescanEvents', {
        account,
        ...window,
        floorSeconds: limits.floorSeconds,
      });
      state = afterRescan(state, window, report, limits);
    },
  };
}
