import type { PoolClient, QueryConfig } from 'pg';
import type { HandlerTransaction } from './define-handlers.js';
import { refusalOf } from './refused-statement.js';

/** A statement of a handler's that was not sent. */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused';
}

/** The transaction as a handler gets it, and the fence around it. */
export interface FencedTransaction {
  readonly tx: HandlerTransaction;
  /** Lets nothing through any more. Statements that wait for their turn are refused. */
  close(why: string): void;
  /** The first statement that failed, after which the transaction is lost; null: none did. */
  failed(): { readonly error: unknown } | null;
  /** Statements that were asked for and are not over: one under way at most, the others wait. */
  unfinished(): number;
  /** Whether nothing is under way on the connection, waiting up to `milliseconds` for that. */
  idle(milliseconds: number): Promise<boolean>;
}

/** pg's type for a query lacks it. A prepared statement holds one statement, whether it has values or not. */
type OneStatement = QueryConfig & { readonly queryMode: 'extended' };

/**
 * Statements go out one at a time, although pg would queue them: what has not been sent yet can still be held
 * back, and the ROLLBACK after a time-out waits for one statement at most.
 */
export function fencedTransaction(client: PoolClient): FencedTransaction {
  let closed: string | null = null;
  let failed: { readonly error: unknown } | null = null;
  let unfinished = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function send<R>(text: string, values: readonly unknown[] | undefined) {
    if (closed !== null) throw new StatementRefused(closed);
    if (failed !== null)
      throw new StatementRefused('An earlier statement failed, so the transaction takes no other.');
    try {
      if (typeof text !== 'string') throw new StatementRefused('tx.query takes the text of a statement.');
      const refusal = refusalOf(text);
      if (refusal !== null) throw new StatementRefused(refusal);
      const statement: OneStatement = { text, values: [...(values ?? [])], queryMode: 'extended' };
      const { rows, rowCount } = await client.query(statement);
      return { rows: rows as R[], rowCount };
    } catch (error) {
      failed ??= { error };
      throw error;
    }
  }

  return {
    tx: {
      query<R>(text: string, values?: readonly unknown[]) {
        unfinished += 1;
        const turn = last.then(() => send<R>(text, values)).finally(() => (unfinished -= 1));
        // A handler may leave it alone: what comes of it is looked at when the handler ends.
        last = turn.catch(() => undefined);
        return turn;
      },
    },
    close(why) {
      closed ??= why;
    },
    failed: () => failed,
    unfinished: () => unfinished,
    async idle(milliseconds) {
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<false>((resolve) => {
        timer = setTimeout(resolve, milliseconds, false);
      });
      try {
        return await Promise.race([last.then(() => true), patience]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
