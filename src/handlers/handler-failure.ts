import { fileURLToPath } from 'node:url';
import { DatabaseError } from 'pg';

/**
 * A user's handler failed, so its transaction must be rolled back.
 *
 * `message` holds the handler's own words, which may quote data: it belongs into the user's database and nowhere
 * else. `publicMessage` names the event type and the kind of error only: it may go to Temporal and to logs. There is
 * no `cause`, so that nothing which prints an error's causes can let data out.
 */
export class HandlerFailure extends Error {
  override readonly name = 'HandlerFailure';
  readonly eventId: string;
  readonly eventType: string;
  readonly publicMessage: string;

  constructor(
    event: { readonly id: string; readonly type: string },
    /** Goes on from "The handler for invoice.paid …"; without the words of the handler, and with them. */
    said: { readonly public: string; readonly full: string },
  ) {
    const subject = `The handler for ${event.type}`;
    // A text in PostgreSQL cannot hold U+0000, and a message may.
    super(`${subject} ${said.full}`.replaceAll('\0', '\ufffd'));
    this.eventId = event.id;
    this.eventType = event.type;
    this.publicMessage = `${subject} ${said.public}`;
  }
}

/** What a handler threw, in two versions: the kind of error alone, and its words with the place in the file. */
export function describeThrown(thrown: unknown): { readonly kind: string; readonly words: string } {
  try {
    if (!(thrown instanceof Error))
      return { kind: `a thrown ${typeof thrown}`, words: `threw ${String(thrown)}` };
    const kind = kindOf(thrown);
    const detail = thrown instanceof DatabaseError && thrown.detail ? ` ${thrown.detail}` : '';
    return { kind, words: `failed: ${kind}: ${String(thrown.message)}${detail}${placeOf(thrown)}` };
  } catch {
    // Getters and `toString` are the user's code too.
    return { kind: 'an error that cannot be read', words: 'failed with an error that cannot be read' };
  }
}

function kindOf(error: Error): string {
  if (error instanceof DatabaseError) {
    return /^[0-9A-Z]{5}$/.test(error.code ?? '')
      ? `error ${error.code} of PostgreSQL`
      : 'an error of PostgreSQL';
  }
  // A name is a word of the program's as a rule; anybody can put a sentence there.
  return /^[A-Za-z][A-Za-z0-9]{0,40}$/.test(error.name) ? error.name : 'Error';
}

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** The first line of the stack that is neither Node's, a package's nor ours. */
function placeOf(error: Error): string {
  const frame = String(error.stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line))
    .find((line) => !/node:|[\\/]node_modules[\\/]/.test(line) && !line.includes(HERE));
  const place = /\(?((?:file:\/\/)?[^()\s][^()]*:\d+:\d+)\)?$/.exec(
    frame?.trim().replace(/^at (async )?/, '') ?? '',
  );
  return place === null ? '' : ` (${place[1]})`;
}
