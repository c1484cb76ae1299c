export interface InOrder<Item, Result> {
  /** The next item, or null where there is none left. Not asked again after that. */
  next(): Promise<Item | null>;
  /** Null gives the item up: nothing from it on is settled. */
  work(item: Item): Promise<Result | null>;
  /** Told of what is done, in the order of the items and without gaps. Never twice at a time. */
  settle(done: readonly Done<Item, Result>[]): Promise<void>;
  /** Told after each item which ones are done and wait for one before them. */
  onWaiting(waiting: readonly Done<Item, Result>[]): void;
  /** How many are worked on at a time; asked each time. */
  atOnce(): number;
  isOver(): boolean;
}

export interface Done<Item, Result> {
  readonly item: Item;
  readonly result: Result;
}

/**
 * Works on items several at a time, and settles them in their order. None is begun that lies too far ahead of the first
 * one that is not done, so that little is lost with whoever dies. The first failure ends it, once what is under way is
 * done and settled; then it is thrown.
 *
 * @returns whether no item is left
 */
export async function inOrder<Item, Result>(input: InOrder<Item, Result>): Promise<boolean> {
  const begun: { readonly item: Item; result?: Result | null }[] = [];
  const underWay = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;
  let isSettling = true;
  let isExhausted = false;
  for (;;) {
    while (mayBegin()) {
      const item = await input.next();
      if (item === null) isExhausted = true;
      else begin(item);
    }
    if (underWay.size === 0) {
      if (await settle()) continue;
      break;
    }
    await Promise.race(underWay);
    // More may be done by the time that these are settled, and what is not settled takes the place of new ones.
    while (await settle());
    input.onWaiting(begun.flatMap(({ item, result }) => (result == null ? [] : [{ item, result }])));
  }
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
  return isExhausted && begun.length === 0;

  function mayBegin(): boolean {
    const atOnce = input.atOnce();
    const hasRoom = underWay.size < atOnce && begun.length < 2 * atOnce;
    return hasRoom && !isExhausted && failure === null && !input.isOver();
  }

  function begin(item: Item): void {
    const entry: (typeof begun)[number] = { item };
    begun.push(entry);
    const flight: Promise<void> = workOn(entry).finally(() => underWay.delete(flight));
    underWay.add(flight);
  }

  async function workOn(entry: (typeof begun)[number]): Promise<void> {
    try {
      entry.result = await input.work(entry.item);
    } catch (error) {
      failure ??= { error };
    }
  }

  async function settle(): Promise<boolean> {
    const end = begun.findIndex(({ result }) => result == null);
    const done = begun.splice(0, end < 0 ? begun.length : end);
    if (done.length === 0 || !isSettling) return false;
    try {
      await input.settle(done as Done<Item, Result>[]);
    } catch (error) {
      // What comes after must not be settled as if this had been.
      isSettling = false;
      failure ??= { error };
    }
    return true;
  }
}
