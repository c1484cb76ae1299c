/** Sets, pauses, reads and removes what Temporal does for an account at set times: refresh, pruning, audits. */
import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  type ScheduleHandle,
  ScheduleNotFoundError,
  ServiceError,
} from '@temporalio/client';
import {
  optionsOf,
  type Plan,
  planOf,
  SCHEDULES,
  type ScheduledAccount,
  type ScheduleName,
  scheduleId,
} from './schedule-plans.js';

/**
 * Makes an account's schedules what they should be: creates, updates, or deletes them. Several that do so at once end
 * with the schedules of one of them.
 *
 * @throws what Temporal answers where it does not let us
 */
export async function ensureSchedules(client: Client, scheduled: ScheduledAccount): Promise<void> {
  await allOf(SCHEDULES, async (name) => {
    const plan = planOf(scheduled, name);
    if (plan === null) await remove(client, scheduled.account, name);
    else await putSchedule(client, plan);
  });
}

/** Creates the schedules that an account lacks, and leaves alone what is there. */
export async function completeSchedules(client: Client, scheduled: ScheduledAccount): Promise<void> {
  await allOf(SCHEDULES, async (name) => {
    const plan = planOf(scheduled, name);
    if (plan !== null) await create(client, plan);
  });
}

/** Deletes all schedules of an account. */
export async function removeSchedules(client: Client, account: string): Promise<void> {
  await allOf(SCHEDULES, (name) => remove(client, account, name));
}

/** Pauses or resumes the schedules that an account has. `note` says why, in the Temporal UI. */
export async function pauseSchedules(
  client: Client,
  account: string,
  paused: boolean,
  note: string,
): Promise<void> {
  await allOf(SCHEDULES, async (name) => {
    const handle = client.schedule.getHandle(scheduleId(account, name));
    await unlessMissing(() => (paused ? handle.pause(note) : handle.unpause(note)));
  });
}

/** Times in seconds since 1970, on Temporal's clock. */
export interface ScheduleState {
  readonly everySeconds: number;
  readonly paused: boolean;
  /** Null while it is paused. */
  readonly nextAt: number | null;
  /** Null where it has not come to pass. */
  readonly lastAt: number | null;
}

/** When each comes next; null for one that is switched off. */
export async function readSchedules(
  client: Client,
  account: string,
): Promise<Readonly<Record<ScheduleName, ScheduleState | null>>> {
  const states = await allOf(SCHEDULES, async (name) => {
    const handle = client.schedule.getHandle(scheduleId(account, name));
    const description = await unlessMissing(() => handle.describe());
    return description === null ? null : stateOf(description);
  });
  const [refresh = null, prune = null, audit = null] = states;
  return { refresh, prune, audit };
}

function stateOf({ spec, state, info }: ScheduleDescription): ScheduleState {
  const next = info.nextActionTimes[0];
  const last = info.recentActions.at(-1)?.takenAt;
  return {
    everySeconds: Math.round((spec.intervals?.[0]?.every ?? 0) / 1000),
    paused: state.paused,
    nextAt: state.paused || next === undefined ? null : secondsOf(next),
    lastAt: last === undefined ? null : secondsOf(last),
  };
}

function secondsOf(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** A start that finds a schedule which somebody deletes at that moment makes it anew. */
const ROUNDS = 3;

/** Makes one schedule what it should be. As `ensureSchedules`. */
export async function putSchedule(client: Client, plan: Plan): Promise<void> {
  for (let round = 1; ; round += 1) {
    if (await create(client, plan)) return;
    const handle = client.schedule.getHandle(plan.scheduleId);
    try {
      if ((await unlessMissing(() => update(handle, plan))) !== null) return;
      if (round === ROUNDS) throw new ScheduleNotFoundError('it comes and goes', plan.scheduleId);
    } catch (error) {
      // A schedule that is being deleted may leave the question for its present state without an answer.
      if (round === ROUNDS || codeOf(error) !== DEADLINE_EXCEEDED) throw error;
    }
  }
}

async function update(handle: ScheduleHandle, plan: Plan): Promise<true> {
  const { scheduleId: _, ...options } = optionsOf(plan);
  await handle.update(() => options);
  return true;
}

/** @returns false where it is there already */
async function create(client: Client, plan: Plan): Promise<boolean> {
  try {
    await client.schedule.create(optionsOf(plan));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}

async function remove(client: Client, account: string, name: ScheduleName): Promise<void> {
  await unlessMissing(() => client.schedule.getHandle(scheduleId(account, name)).delete());
}

/** Null where the schedule that is asked is not there. */
export async function unlessMissing<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError || isBeingDeleted(error)) return null;
    throw error;
  }
}

const DEADLINE_EXCEEDED = 4;
const FAILED_PRECONDITION = 9;

function codeOf(error: unknown): number | null {
  const cause = error instanceof ServiceError ? error.cause : error;
  return isGrpcServiceError(cause) ? cause.code : null;
}

/** A question that a schedule had not answered when it was deleted. */
function isBeingDeleted(error: unknown): boolean {
  return codeOf(error) === FAILED_PRECONDITION;
}

/** What one schedule is refused, the others need not be: all are tried, then the first refusal is told. */
async function allOf<T>(
  names: readonly ScheduleName[],
  each: (name: ScheduleName) => Promise<T>,
): Promise<T[]> {
  const settled = await Promise.allSettled(names.map(each));
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
