/** The row is not the one any more that a decision was made on: the transaction is to be rolled back. */
export class RowChanged extends Error {}

/** A page can only bring the row once, where there was none; the others are for what nobody thought of. */
const ROUNDS = 5;

/**
 * Runs a transaction that decides on a row, and again where a page of a backfill, which takes no entity's lock,
 * brought that row in between.
 */
export async function decidingAnew<T>(decide: () => Promise<T>): Promise<T> {
  for (let round = 1; ; round += 1) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof RowChanged)) throw error;
      if (round === ROUNDS) throw new Error('the row changed with every attempt to write it');
    }
  }
}
