import pLimit from 'p-limit';
import type { Range } from '../src/domain/ranges.js';

export interface RangesWalk {
  /** What is left, by number; the walk's owner keeps it as pages are listed and ranges divided. */
  readonly left: Map<number, Range>;
  /** Pages that are under way at a time, at most. */
  readonly walkers: number;
  readonly isOver: () => boolean;
  /** Divides the largest range for somebody who has nothing to walk: the new one's number, or null where there is none. */
  readonly divide: () => Promise<number | null> | number | null;
  /** Lists a range's next page. Resolves once it is committed, and what is left was kept. */
  readonly listPage: (range: number, isEnding: () => boolean) => Promise<void>;
}

/**
 * Walks ranges in several places at once, until nothing is left of them or the time is over. Whoever has nothing to
 * walk takes part of a range that somebody else walks. One failure ends the walk.
 *
 * @throws what the first failure was, once the pages that were under way are committed
 */
export async function walkRanges({ left, walkers, isOver, divide, listPage }: RangesWalk): Promise<void> {
  const busy = new Set<number>();
  const taking = pLimit(1);
  const waiting = new Set<() => void>();
  let failure: unknown;

  await Promise.all(Array.from({ length: walkers }, walker));
  if (failure !== undefined) throw failure;

  function tellOthers(): void {
    for (const wake of waiting) wake();
    waiting.clear();
  }

  function isEnding(): boolean {
    return failure !== undefined || isOver();
  }

  async function walker(): Promise<void> {
    try {
      for (let range = await next(); range !== null; range = await next()) {
        while (!isEnding() && left.has(range)) {
          await listPage(range, isEnding);
          tellOthers();
        }
        busy.delete(range);
        tellOthers();
      }
    } catch (error) {
      failure ??= error;
    } finally {
      tellOthers();
    }
  }

  async function next(): Promise<number | null> {
    while (!isEnding()) {
      const found = await taking(take);
      if (found !== null) return found;
      // Whoever failed or ended meanwhile has told those who waited then.
      if (busy.size === 0 || isEnding()) return null;
      await new Promise<void>((resolve) => waiting.add(resolve));
    }
    return null;
  }

  async function take(): Promise<number | null> {
    const found = [...left.keys()].find((range) => !busy.has(range)) ?? (await divide());
    if (found !== null) busy.add(found);
    return found;
  }
}
