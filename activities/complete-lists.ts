import { StripeFailure } from '../src/domain/failures.js';
import { readInterval } from '../src/domain/read-interval.js';
import type { Version } from '../src/domain/version.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { cutLists, pageOfList, withWholeLists } from '../src/stripe/embedded-lists.js';
import { itemTexts } from '../src/stripe/json-text.js';
import { readList } from './event-pages.js';

/** A value list of Radar may hold 50,000 items, and nothing else embeds nearly as many. */
const MOST_PAGES = 500;
/** Characters of all pages together: far below what one jsonb value can hold. */
const MOST_TEXT = 2 ** 26;

export interface WholeObject {
  readonly text: string;
  /** From the beginning of the object's own read to the end of the last page's. */
  readonly version: Version;
}

interface Completion {
  readonly get: (path: string) => Promise<StripeResponse>;
  version: Version;
  pages: number;
  characters: number;
}

/**
 * Replaces each cut list of an object by the whole list, read from its own URL from its beginning: nothing promises
 * that the embedded items are its first ones. Items keep Stripe's order and their texts, and their own lists are
 * completed as well. All or nothing: it throws where a list cannot be completed.
 *
 * @param read the object's text, and when it was read
 * @param get reads a path of Stripe's, in the API version that the object was read in
 * @throws StripeFailure of the kind that the list's read failed with; `transient` where the list changed meanwhile,
 *   `malformed` where the list cannot be walked or is not there, `invalid` where it has no end in sight
 */
export async function completeLists(
  read: WholeObject,
  get: (path: string) => Promise<StripeResponse>,
): Promise<WholeObject> {
  const completion: Completion = { get, version: read.version, pages: 0, characters: 0 };
  const text = await complete(read.text, completion);
  return { text, version: completion.version };
}

async function complete(text: string, completion: Completion): Promise<string> {
  const whole = [];
  for (const list of cutLists(text)) {
    const items: string[] = [];
    for (const item of await allItems(list.url, completion)) items.push(await complete(item, completion));
    whole.push({ list, items });
  }
  return whole.length === 0 ? text : withWholeLists(text, whole);
}

async function allItems(url: string | null, completion: Completion): Promise<string[]> {
  if (url === null || !url.startsWith('/v1/')) {
    throw new StripeFailure('malformed', {
      message: 'An embedded list is cut and has no URL to complete it from; the object is read again.',
    });
  }
  const items: string[] = [];
  const seen = new Set<string>();
  for (let after: string | null = null; ; ) {
    const response = await readPage(pageOfList(url, after), completion);
    const { entries, hasMore } = readList(response);
    const texts = itemTexts(response.text, 'data');
    let last: string | null = null;
    for (const [index, entry] of entries.entries()) {
      const { id } = (entry ?? {}) as { id?: unknown };
      if (typeof id === 'string') {
        if (seen.has(id)) continue;
        seen.add(id);
        last = id;
      }
      items.push(texts[index] ?? 'null');
    }
    if (!hasMore) return items;
    if (last === null) throw malformed(response, 'says that there is more and gives no way on');
    after = last;
  }
}

async function readPage(path: string, completion: Completion): Promise<StripeResponse> {
  if (completion.pages >= MOST_PAGES || completion.characters >= MOST_TEXT) {
    throw new StripeFailure('invalid', {
      message: `The lists inside of the object are too long to be kept in it: ${completion.pages} pages and no end.`,
    });
  }
  completion.pages += 1;
  const response = await answered(path, completion);
  completion.characters += response.text.length;
  const version = readInterval(response);
  if (version === null) throw malformed(response, 'has no Date');
  completion.version = {
    asOf: Math.min(completion.version.asOf, version.asOf),
    asOfUntil: Math.max(completion.version.asOfUntil, version.asOfUntil),
  };
  return response;
}

/** A list that is gone does not say that the object is: only the object's own read may. */
async function answered(path: string, completion: Completion): Promise<StripeResponse> {
  try {
    return await completion.get(path);
  } catch (error) {
    if (!(error instanceof StripeFailure)) throw error;
    const { requestId } = error;
    if (error.kind === 'cursor-lost') {
      const message = 'A list inside of the object changed while it was read; the object is read again.';
      throw new StripeFailure('transient', { message, requestId });
    }
    if (error.kind === 'gone') {
      const message = 'Stripe does not have the list that the object names; the object is read again.';
      throw new StripeFailure('malformed', { message, requestId });
    }
    throw error;
  }
}

function malformed(response: StripeResponse, what: string): StripeFailure {
  return new StripeFailure('malformed', {
    message: `A page of a list inside of the object ${what} (request ${response.requestId ?? 'without id'}); the object is read again.`,
    requestId: response.requestId ?? undefined,
  });
}
