/**
 * Lists inside of objects. Stripe embeds about ten items, whether there are more (`has_more`), and the URL of the
 * whole list. An object with such a cut list is not the object, so it is never stored.
 *
 * Stripe's own mark (`object: "list"`) finds them, wherever they stand: in the fields that the catalog names, in
 * items of other lists (the items of a customer's subscriptions), and where only older API versions have them (the
 * charges of a payment intent).
 */
import { containersOf, itemTexts, type Span, withReplaced } from './json-text.js';

/** A cut list in the text of an object. */
export interface CutList extends Span {
  /** Path of the whole list, perhaps with a query; null where the list names none. */
  readonly url: string | null;
  readonly dataSpan: Span;
  readonly hasMoreSpan: Span;
}

const CUT = /"has_more"\s*:\s*true/g;

/** The cut lists of an object, in the order of the text, without those that lie inside of another cut one. */
export function cutLists(text: string): CutList[] {
  if (text.search(CUT) < 0) return [];
  const found: CutList[] = [];
  for (const { start, end, members } of containersOf(text)) {
    const hasMoreSpan = members.get('has_more');
    const dataSpan = members.get('data');
    if (hasMoreSpan === undefined || dataSpan === undefined || textOf(hasMoreSpan) !== 'true') continue;
    if (stringAt(members.get('object')) !== 'list') continue;
    const url = stringAt(members.get('url'));
    // An outer list comes after its inner ones, and its items are read anew.
    while ((found.at(-1)?.start ?? -1) > start) found.pop();
    found.push({ start, end, url: typeof url === 'string' ? url : null, dataSpan, hasMoreSpan });
  }
  return found;

  function textOf({ start, end }: Span): string {
    return text.slice(start, end);
  }

  function stringAt(span: Span | undefined): unknown {
    if (span === undefined || text[span.start] !== '"') return null;
    return JSON.parse(textOf(span));
  }
}

/**
 * The places on a page of a listing whose objects have a cut list. Nearly every page has none, which one search
 * shows: the page's own `has_more` is the only one that is true.
 */
export function cutOnPage(page: string, hasMore: boolean): number[] {
  const marks = page.match(CUT)?.length ?? 0;
  if (marks <= (hasMore ? 1 : 0)) return [];
  return itemTexts(page, 'data').flatMap((item, index) => (cutLists(item).length > 0 ? [index] : []));
}

/** The object with whole lists in the place of its cut ones: `items` are the texts of each list's items. */
export function withWholeLists(
  text: string,
  lists: readonly { readonly list: CutList; readonly items: readonly string[] }[],
): string {
  const replacements = lists.flatMap(({ list, items }) => [
    { span: list.dataSpan, by: `[${items.join(',')}]` },
    { span: list.hasMoreSpan, by: 'false' },
  ]);
  return withReplaced(text, replacements);
}

/** The path of a page of an embedded list. Its own URL may have a query already. */
export function pageOfList(url: string, startingAfter: string | null): string {
  const [path = '', query = ''] = url.split(/\?(.*)/s);
  const search = new URLSearchParams(query);
  search.set('limit', '100');
  if (startingAfter !== null) search.set('starting_after', startingAfter);
  return `${path}?${search}`;
}
