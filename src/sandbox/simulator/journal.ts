/**
 * What keeps a sandbox over restarts: one line of JSON per change, written at once, so that a kill of the process
 * loses nothing that any client can have seen. One line holds all that belongs to one change (objects and events), so a
 * line that a kill cut in half takes nothing with it but a change that never was.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SimulatedEvent } from './event-log.js';
import { makeEvent } from './event-log.js';
import type { JsonObject } from './json.js';
import { type Entry, makeEntry } from './store.js';
import type { WebhookEndpoint } from './webhook-endpoint.js';

/** What happened together: the new states of objects, and the events that tell of them. */
export interface Change {
  readonly entries: readonly Entry[];
  readonly events: readonly SimulatedEvent[];
}

/** Facts about the account itself. */
export interface AccountRecord {
  readonly seed: number;
  readonly account: string;
  readonly apiKey: string;
  /** How often the simulator has been started on this directory: each run draws from other random streams. */
  readonly run: number;
  readonly advancedSeconds: number;
  readonly restrictedKeys: readonly { secret: string; permissions: string[] }[];
  readonly revoked: boolean;
  /** With their secrets, which stand nowhere else. */
  readonly webhookEndpoints?: readonly WebhookEndpoint[];
}

export interface Replayed {
  readonly account?: AccountRecord;
  readonly entries: readonly Entry[];
  readonly events: readonly SimulatedEvent[];
  /** By account: what each connected one had. */
  readonly connected: ReadonlyMap<string, Change>;
}

export interface Journal {
  /** @param connected the account that it happened in, unless it is the simulated one itself */
  append(change: Change, connected?: string): void;
  record(account: AccountRecord): void;
  close(): void;
}

interface EntryLine {
  object: string;
  id: string;
  created: number;
  listed?: boolean;
  deleted?: boolean;
  parents?: Record<string, string>;
  data: JsonObject;
}

interface EventLine {
  objectName: string;
  objectId?: string;
  changedAt: number;
  visibleAt: number;
  sequence: number;
  event: JsonObject;
}

interface Line {
  account?: AccountRecord;
  /** The connected account that the change is of. */
  connected?: string;
  entries?: EntryLine[];
  events?: EventLine[];
}

const FILE = 'journal.ndjson';

function entryLine({ object, id, created, listed, deleted, parents, json }: Entry): string {
  const head = JSON.stringify({
    object,
    id,
    created,
    listed,
    deleted,
    ...(parents === undefined ? {} : { parents }),
  });
  return `${head.slice(0, -1)},"data":${json}}`;
}

function eventLine({ object, objectId, changedAt, visibleAt, sequence, json }: SimulatedEvent): string {
  const head = JSON.stringify({
    objectName: object,
    ...(objectId === undefined ? {} : { objectId }),
    changedAt,
    visibleAt,
    sequence,
  });
  return `${head.slice(0, -1)},"event":${json}}`;
}

function changeLine({ entries, events }: Change, connected?: string): string {
  const whose = connected === undefined ? '' : `"connected":${JSON.stringify(connected)},`;
  return `{${whose}"entries":[${entries.map(entryLine).join(',')}],"events":[${events.map(eventLine).join(',')}]}\n`;
}

const LINES_AT_ONCE = 200;

/** Lines of many entries or events, a few hundred in each. */
function* chunked(change: Change, connected?: string): Generator<string> {
  for (let at = 0; at < change.entries.length; at += LINES_AT_ONCE) {
    yield changeLine({ entries: change.entries.slice(at, at + LINES_AT_ONCE), events: [] }, connected);
  }
  for (let at = 0; at < change.events.length; at += LINES_AT_ONCE) {
    yield changeLine({ entries: [], events: change.events.slice(at, at + LINES_AT_ONCE) }, connected);
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
}

/** The lines of a file, without reading it whole; a last line without its end is left out. */
function* linesOf(path: string): Generator<string> {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const block = Buffer.alloc(1 << 20);
    let rest = Buffer.alloc(0);
    for (;;) {
      const length = readSync(descriptor, block, 0, block.length, null);
      if (length === 0) return;
      const text = Buffer.concat([rest, block.subarray(0, length)]);
      let start = 0;
      for (let end = text.indexOf(10, start); end >= 0; end = text.indexOf(10, start)) {
        yield text.toString('utf8', start, end);
        start = end + 1;
      }
      rest = text.subarray(start);
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Everything that a directory remembers. Throws when the journal holds a line that is no JSON. */
export function replayJournal(directory: string): Replayed {
  const path = join(directory, FILE);
  const own: ReplayedState = { entries: new Map(), events: [] };
  const connected = new Map<string, ReplayedState>();
  let account: AccountRecord | undefined;
  let number = 0;
  for (const text of linesOf(path)) {
    number += 1;
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch (cause) {
      throw new Error(
        `The simulator's journal ${path} is damaged in line ${number}: remove it to begin anew.`,
        { cause },
      );
    }
    account = line.account ?? account;
    const { entries, events } = line.connected === undefined ? own : stateOf(connected, line.connected);
    for (const { data, ...fields } of line.entries ?? []) {
      entries.set(`${fields.object} ${fields.id}`, makeEntry({ ...fields, json: JSON.stringify(data) }));
    }
    for (const { event, objectName, ...fields } of line.events ?? []) {
      const { id, type, created } = event as { id: string; type: string; created: number };
      events.push(
        makeEvent({ ...fields, object: objectName, id, type, created, json: JSON.stringify(event) }),
      );
    }
  }
  return {
    ...(account === undefined ? {} : { account }),
    ...asChange(own),
    connected: new Map([...connected].map(([id, state]) => [id, asChange(state)])),
  };
}

interface ReplayedState {
  readonly entries: Map<string, Entry>;
  readonly events: SimulatedEvent[];
}

function stateOf(connected: Map<string, ReplayedState>, account: string): ReplayedState {
  const state = connected.get(account) ?? { entries: new Map(), events: [] };
  connected.set(account, state);
  return state;
}

function asChange({ entries, events }: ReplayedState): Change {
  return { entries: [...entries.values()], events };
}

/** Starts a compact journal with this state in place of the old one, and keeps it open for what follows. */
export function openJournal(
  directory: string,
  account: AccountRecord,
  state: Change,
  connected: ReadonlyMap<string, Change> = new Map(),
): Journal {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, FILE);
  const descriptor = openSync(`${path}.new`, 'w');
  writeAll(descriptor, `${JSON.stringify({ account })}\n`);
  for (const line of chunked(state)) writeAll(descriptor, line);
  for (const [id, left] of connected) for (const line of chunked(left, id)) writeAll(descriptor, line);
  fsyncSync(descriptor);
  renameSync(`${path}.new`, path);
  let open = true;
  return {
    append(change, of) {
      if (!open) return;
      if (change.entries.length <= LINES_AT_ONCE) writeAll(descriptor, changeLine(change, of));
      else for (const line of chunked(change, of)) writeAll(descriptor, line);
    },
    record(next) {
      if (open) writeAll(descriptor, `${JSON.stringify({ account: next })}\n`);
    },
    close() {
      if (open) closeSync(descriptor);
      open = false;
    },
  };
}
