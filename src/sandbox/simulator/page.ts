import type { Dated, Timeline } from './timeline.js';

export interface PageRequest<T extends Dated> {
  readonly timeline: Timeline<T>;
  readonly limit: number;
  /** At most one of the two; the cursor itself is never on the page, and need not be in the list any more. */
  readonly startingAfter?: Dated;
  readonly endingBefore?: Dated;
  /** Whole seconds, both inclusive. */
  readonly createdFrom?: number;
  readonly createdTo?: number;
  readonly accept?: (item: T) => boolean;
}

export interface Page<T> {
  /** Newest first. */
  readonly items: T[];
  readonly hasMore: boolean;
}

/**
 * One page of a reverse chronological list. `starting_after` walks towards older items. `ending_before` gives the
 * items right next to the cursor on its newer side, which are not the newest of the list.
 */
export function readPage<T extends Dated>(request: PageRequest<T>): Page<T> {
  const { timeline, limit, accept } = request;
  const low = request.createdFrom === undefined ? 0 : timeline.firstCreatedFrom(request.createdFrom);
  const high =
    request.createdTo === undefined
      ? timeline.items.length
      : timeline.firstCreatedFrom(request.createdTo + 1);
  const items: T[] = [];
  let hasMore = false;
  const take = (item: T): boolean => {
    if (accept !== undefined && !accept(item)) return true;
    if (items.length === limit) {
      hasMore = true;
      return false;
    }
    items.push(item);
    return true;
  };

  if (request.endingBefore !== undefined) {
    const cursor = request.endingBefore;
    let index = timeline.indexOf(cursor);
    if (timeline.items[index]?.id === cursor.id) index += 1;
    for (index = Math.max(index, low); index < high; index += 1) {
      if (!take(timeline.items[index] as T)) break;
    }
    items.reverse();
  } else {
    const start =
      request.startingAfter === undefined ? high : Math.min(timeline.indexOf(request.startingAfter), high);
    for (let index = start - 1; index >= low; index -= 1) {
      if (!take(timeline.items[index] as T)) break;
    }
  }
  return { items, hasMore };
}
