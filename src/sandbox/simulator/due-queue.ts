/** What is due first comes first; of two that are due at the same moment, the one that was added first. */
export interface DueQueue<T> {
  /** Any unit of time, the same for all. */
  push(dueAt: number, item: T): void;
  /** When the next one is due; undefined while there is none. */
  nextDueAt(): number | undefined;
  /** The next one, if it is due by then. */
  takeDue(now: number): T | undefined;
  /** Takes everything out. */
  drain(): T[];
}

interface Slot<T> {
  readonly dueAt: number;
  readonly order: number;
  readonly item: T;
}

/** A binary heap: a bench may have tens of thousands of deliveries wait for their time. */
export function createDueQueue<T>(): DueQueue<T> {
  let heap: Slot<T>[] = [];
  let added = 0;

  const isBefore = (left: Slot<T>, right: Slot<T>): boolean =>
    left.dueAt < right.dueAt || (left.dueAt === right.dueAt && left.order < right.order);

  const rise = (slot: Slot<T>, from: number): void => {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = heap[above] as Slot<T>;
      if (!isBefore(slot, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = slot;
  };

  const sink = (slot: Slot<T>): void => {
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Slot<T>)) below += 1;
      const child = heap[below];
      if (child === undefined || !isBefore(child, slot)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = slot;
  };

  return {
    push(dueAt, item) {
      rise({ dueAt, order: added++, item }, heap.length);
    },
    nextDueAt: () => heap[0]?.dueAt,
    takeDue(now) {
      const first = heap[0];
      if (first === undefined || first.dueAt > now) return undefined;
      const last = heap.pop() as Slot<T>;
      if (heap.length > 0) sink(last);
      return first.item;
    },
    drain() {
      const items = heap.map(({ item }) => item);
      heap = [];
      return items;
    },
  };
}
