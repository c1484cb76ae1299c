/**
 * A list in Stripe's order: by `created`, and within one second in an arbitrary order that stays the same. It is kept
 * oldest first, so that new things are added at the end; pages are read from the end.
 */
export interface Dated {
  readonly id: string;
  /** Whole seconds of the simulator's clock. */
  readonly created: number;
  /** The arbitrary place within the second. */
  readonly tie: number;
}

function compare(left: Dated, right: Dated): number {
  if (left.created !== right.created) return left.created - right.created;
  if (left.tie !== right.tie) return left.tie - right.tie;
  return left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
}

export interface Timeline<T extends Dated> {
  readonly items: readonly T[];
  add(item: T): void;
  addMany(items: readonly T[]): void;
  remove(item: T): void;
  /** The index of the first item that is not older than this one: its own, if it is there. */
  indexOf(item: Dated): number;
  /** The index of the first item with at least this `created`. */
  firstCreatedFrom(created: number): number;
}

export function createTimeline<T extends Dated>(): Timeline<T> {
  const items: T[] = [];

  const search = (isBefore: (item: T) => boolean): number => {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(items[middle] as T)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const indexOf = (item: Dated): number => search((other) => compare(other, item) < 0);

  return {
    items,
    indexOf,
    firstCreatedFrom: (created) => search((other) => other.created < created),
    add(item) {
      const last = items.at(-1);
      if (last === undefined || compare(last, item) < 0) items.push(item);
      else items.splice(indexOf(item), 0, item);
    },
    addMany(more) {
      for (const item of more) items.push(item);
      items.sort(compare);
    },
    remove(item) {
      const index = indexOf(item);
      if (items[index] === item) items.splice(index, 1);
    },
  };
}
