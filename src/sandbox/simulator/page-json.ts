/** The bytes of a list's page. A page of 100 invoices is a third of a megabyte, so they are made with care. */

const COMMA = Buffer.from(',');

/**
 * A page as Stripe sends it. Each item is encoded by itself: one long text would have to be put together first, with
 * two bytes for each character where one item has a name beyond Latin-1 (measured: 1.4 instead of 4 ms for 330 kB).
 */
export function pageJson(items: readonly string[], hasMore: boolean, url: string): Buffer {
  const parts = [Buffer.from('{"object":"list","data":[')];
  for (const [index, item] of items.entries()) {
    if (index > 0) parts.push(COMMA);
    parts.push(Buffer.from(item));
  }
  parts.push(Buffer.from(`],"has_more":${hasMore},"url":${JSON.stringify(url)}}`));
  return Buffer.concat(parts);
}
