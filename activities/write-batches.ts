import type { LimitFunction } from 'p-limit';

/** Pages and characters that one transaction takes at most: more of them write no faster, and hold what they lock longer. */
const MOST_PAGES = 5;
const MOST_LENGTH = 1_000_000;
/** Transactions at a time: more connections than PostgreSQL has cores make none of them faster. */
const AT_ONCE = 3;

export interface Batching<Page, Result> {
  /** Bounds what writes to PostgreSQL at a time, over all accounts and types. */
  readonly writing: LimitFunction;
  /** Names of the rows that a page may write. */
  readonly rowsOf: (page: Page) => Iterable<string>;
  /** Whether pages of one transaction may have rows in common. */
  readonly mayShareRows: boolean;
  readonly lengthOf: (page: Page) => number;
  /** Writes pages in one transaction. @returns a result for each */
  readonly write: (pages: readonly Page[]) => Promise<readonly Result[]>;
}

export interface BatchWriter<Page, Result> {
  /** Resolves once the page is committed. */
  write(page: Page): Promise<Result>;
}

interface Waiting<Page, Result> {
  readonly page: Page;
  readonly rows: ReadonlySet<string>;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes pages as they come: those that came while others were written go into one transaction, and several
 * transactions go on at a time, as far as their rows do not meet: of two that write one row, one would only find it
 * changed.
 */
export function createBatchWriter<Page, Result>(batching: Batching<Page, Result>): BatchWriter<Page, Result> {
  let queue: Waiting<Page, Result>[] = [];
  const busyRows = new Set<string>();
  let begun = 0;

  function begin(): void {
    while (begun < Math.min(AT_ONCE, queue.length)) {
      begun += 1;
      void batching.writing(writeBatch);
    }
  }

  async function writeBatch(): Promise<void> {
    const batch = nextBatch();
    const rows = batch.flatMap((waiting) => [...waiting.rows]);
    for (const row of rows) busyRows.add(row);
    try {
      if (batch.length === 0) return;
      const results = await batching.write(batch.map(({ page }) => page));
      for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      for (const row of rows) busyRows.delete(row);
      begun -= 1;
      // Where all that waits has to wait for others, those go on with it.
      if (batch.length > 0) begin();
    }
  }

  function nextBatch(): Waiting<Page, Result>[] {
    const batch: Waiting<Page, Result>[] = [];
    const left: Waiting<Page, Result>[] = [];
    const taken = new Set<string>();
    let length = 0;
    for (const waiting of queue) {
      const isFull = batch.length === MOST_PAGES || length >= MOST_LENGTH;
      if (isFull || meets(waiting.rows, busyRows) || meets(waiting.rows, taken)) {
        left.push(waiting);
        continue;
      }
      batch.push(waiting);
      length += batching.lengthOf(waiting.page);
      if (!batching.mayShareRows) for (const row of waiting.rows) taken.add(row);
    }
    queue = left;
    return batch;
  }

  return {
    write: (page) =>
      new Promise((resolve, reject) => {
        queue.push({ page, rows: new Set(batching.rowsOf(page)), resolve, reject });
        begin();
      }),
  };
}

function meets(rows: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  if (others.size === 0) return false;
  for (const row of rows) if (others.has(row)) return true;
  return false;
}
