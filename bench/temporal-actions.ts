/** What a server counted and what histories say: reading both. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { temporal } from '@temporalio/proto';
import proto from '@temporalio/proto';
import { type Actions, addActions, countActions, type HistoryEvent, NO_ACTIONS } from './actions-count.js';
import type { World } from './backfill-world.js';

type ProtoEvent = temporal.api.history.v1.IHistoryEvent;

export interface Span {
  /** Seconds of the machine's clock. */
  readonly from: number;
  readonly to: number;
}

export interface Counted {
  readonly actions: Actions;
  /** Activities that beat, as far as they were under way within the span. */
  readonly beating: readonly Beating[];
}

export interface Beating {
  readonly timeoutSeconds: number;
  readonly seconds: number;
}

/** A workflow and all that it started, over all its runs, as far as it lies within the span. */
export async function actionsOf(world: World, workflowId: string, span: Span): Promise<Counted> {
  const beating: Beating[] = [];
  let actions = NO_ACTIONS;
  for (const run of await runsOf(world, workflowId)) {
    const within = run.filter((event) => isWithin(timeOf(event), span));
    actions = addActions(actions, countActions(within.map(plain)));
    beating.push(...beatingOf(run, span));
    for (const event of within) {
      const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
      if (!child?.workflowId) continue;
      // Each of its own, and short: what it began within the span, it is counted with.
      const handle = world.client.workflow.getHandle(child.workflowId, child.runId ?? undefined);
      const { events } = await handle.fetchHistory();
      actions = addActions(actions, countActions((events ?? []).map(plain)));
    }
  }
  return { actions, beating };
}

async function runsOf({ client }: World, workflowId: string): Promise<ProtoEvent[][]> {
  const runs: ProtoEvent[][] = [];
  let { runId } = await client.workflow.getHandle(workflowId).describe();
  for (;;) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    runs.unshift(events ?? []);
    const earlier = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId;
    if (!earlier) return runs;
    runId = earlier;
  }
}

function plain(event: ProtoEvent): HistoryEvent {
  const types = proto.temporal.api.enums.v1.EventType;
  const started = event.workflowExecutionStartedEventAttributes;
  const marker = event.markerRecordedEventAttributes;
  return {
    type: (types[event.eventType ?? 0] ?? '').replace(/^EVENT_TYPE_/, ''),
    attempt: event.activityTaskStartedEventAttributes?.attempt ?? 1,
    ...(marker && {
      markerName: marker.markerName ?? '',
      workflowTask: Number(marker.workflowTaskCompletedEventId ?? 0),
    }),
    isChild: started?.parentWorkflowExecution != null,
    isContinued: Boolean(started?.continuedExecutionRunId),
  };
}

/** The start of an activity is written when it ends, so one that runs is taken from when it was scheduled. */
function beatingOf(run: readonly ProtoEvent[], span: Span): Beating[] {
  const ends = new Map<number, number>();
  for (const event of run) {
    const closed =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    if (closed) ends.set(Number(closed.scheduledEventId), timeOf(event));
  }
  return run.flatMap((event) => {
    const timeoutSeconds = secondsOf(event.activityTaskScheduledEventAttributes?.heartbeatTimeout);
    const to = Math.min(span.to, ends.get(Number(event.eventId)) ?? span.to);
    const seconds = to - Math.max(span.from, timeOf(event));
    return timeoutSeconds > 0 && seconds > 0 ? [{ timeoutSeconds, seconds }] : [];
  });
}

function timeOf({ eventTime }: ProtoEvent): number {
  return secondsOf(eventTime);
}

function secondsOf(time: { seconds?: unknown; nanos?: number | null } | null | undefined): number {
  return Number(time?.seconds ?? 0) + (time?.nanos ?? 0) / 1e9;
}

const isWithin = (at: number, { from, to }: Span) => at >= from && at < to;

export type ServerActions = Readonly<Record<string, number>>;

/**
 * The server's own count of actions since its start, by their kinds. Null where it cannot be found: the dev server
 * shows its metrics on a port of its choice, which only Linux tells here.
 */
export async function serverActions({ env }: World): Promise<ServerActions | null> {
  for (const port of portsOf(env.TEMPORAL_ADDRESS ?? '')) {
    const text = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(2_000) })
      .then((response) => response.text())
      .catch(() => '');
    if (!text.includes('# TYPE action counter')) continue;
    const found: Record<string, number> = {};
    for (const line of text.matchAll(/^action\{([^}]*)\} (\S+)$/gm)) {
      const [, labels = '', count] = line;
      if (!labels.includes('namespace="default"')) continue;
      const kind = /action_type="([^"]*)"/.exec(labels)?.[1] ?? 'unknown';
      found[kind] = (found[kind] ?? 0) + Number(count);
    }
    return found;
  }
  return null;
}

export function actionsBetween(before: ServerActions, after: ServerActions): ServerActions {
  const changed = Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)] as const);
  return Object.fromEntries(changed.filter(([, count]) => count > 0));
}

/** Where the server of this address listens besides. */
function portsOf(address: string): number[] {
  const port = address.split(':')[1];
  if (process.platform !== 'linux' || port === undefined) return [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!words.includes('start-dev') || !words.includes(port)) continue;
      const sockets = new Set(
        readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
          const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
          return inode === undefined ? [] : [inode];
        }),
      );
      const found = ['tcp', 'tcp6'].flatMap((table) => listening(`/proc/${pid}/net/${table}`, sockets));
      if (found.length > 0) return found;
    } catch {
      // It ended meanwhile, or is somebody else's.
    }
  }
  return [];
}

const LISTEN = '0A';

function listening(path: string, sockets: ReadonlySet<string>): number[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const isTheirs = fields[3] === LISTEN && sockets.has(fields[9] ?? '');
      return isTheirs ? [Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)] : [];
    });
}
