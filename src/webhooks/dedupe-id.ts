/**
 * Ids for the events of senders that give none, or another one with each delivery: what is the same but for that is
 * taken for the same event.
 */
import { createHash } from 'node:crypto';
import { type Container, containersOf, type Span, withReplaced } from '../stripe/json-text.js';

/**
 * What a sender may put differently into each delivery of one event: its id, when it was made, how many endpoints still
 * wait, and the request that caused it.
 */
const CHANGES_WITH_DELIVERY: ReadonlySet<string> = new Set(['id', 'created', 'pending_webhooks', 'request']);

/** Two deliveries of one payload whose times fall into the same so many seconds are one event. */
export const ROUNDED_TO_SECONDS = 10;

/**
 * The event's text with an id that follows from its payload and its time. Nothing else changes, but that an event
 * without a time gets the one of its delivery.
 *
 * @param text a JSON object
 * @param created seconds, from the event; null where it has none
 * @param deliveredAt seconds of the signature's clock
 */
export function withDedupeId(
  text: string,
  created: number | null,
  deliveredAt: number,
): { readonly id: string; readonly created: number; readonly text: string } {
  const at = created ?? deliveredAt;
  const { digest, whole } = digestOf(text);
  const rounded = Math.floor(at / ROUNDED_TO_SECONDS) * ROUNDED_TO_SECONDS;
  const id = `dedupe_${sha256(`${digest} ${rounded}`)}`;
  const members = [['id', JSON.stringify(id)] as const, ['created', String(at)] as const];
  const changes = members.map(([name, value]) => {
    const span = whole.members.get(name);
    if (span !== undefined) return { span, by: value };
    const begin = whole.start + 1;
    return { span: { start: begin, end: begin }, by: `"${name}":${value},` };
  });
  return { id, created: at, text: withReplaced(text, changes) };
}

/**
 * SHA-256 of the payload, whatever the order of its keys and its white space. Each object and array counts by its own
 * digest, so that deep nesting costs no more than its length; numbers count by their digits, all of them.
 */
function digestOf(text: string): { readonly digest: string; readonly whole: Container } {
  const digests = new Map<number, string>();
  const textOfValue = ({ start, end }: Span) => digests.get(start) ?? scalarOf(text.slice(start, end));
  let whole: Container | undefined;
  for (const container of containersOf(text)) {
    if (whole !== undefined) digests.set(whole.start, contentDigest(text, whole, textOfValue));
    whole = container;
  }
  if (whole === undefined) throw new SyntaxError('the text is no JSON object');
  const members = [...whole.members].filter(([name]) => !CHANGES_WITH_DELIVERY.has(name));
  return { digest: contentDigest(text, { ...whole, members: new Map(members) }, textOfValue), whole };
}

function contentDigest(text: string, container: Container, textOfValue: (span: Span) => string): string {
  if (text[container.start] === '[') return `#${sha256(`[${container.items.map(textOfValue).join(',')}]`)}`;
  const members = [...container.members].sort(([a], [b]) => (a < b ? -1 : 1));
  return `#${sha256(`{${members.map(([name, span]) => `${JSON.stringify(name)}:${textOfValue(span)}`).join(',')}}`)}`;
}

/** One text may be escaped in several ways. */
function scalarOf(raw: string): string {
  return raw.startsWith('"') ? JSON.stringify(JSON.parse(raw)) : raw;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
