import type { Pool } from 'pg';
import type { HandlerRunner } from '../src/handlers/run-handler.js';
import type { InboxNews } from '../src/postgres/inbox-news.js';
import type { StripeClient } from '../src/stripe/client.js';

/** What activities need from the worker. Clock, Stripe and database are passed in, so that tests can. */
export interface ActivityDeps {
  readonly pool: Pool;
  /** The client of an account's alias; its key is resolved here and never leaves the worker. */
  readonly stripe: (account: string) => StripeClient;
  readonly log: ActivityLog;
  /** Tells of what others put into an inbox; without it, that waits for the next pass. */
  readonly inbox?: InboxNews | undefined;
  /** Runs the user's handlers inside the apply transaction; undefined where the worker has none. */
  readonly handlers?: HandlerRunner | undefined;
  /** Starts accounts; undefined where nobody has given the worker a way to. */
  readonly accounts?: AccountLauncher | undefined;
  /** Aborts when the worker begins to shut down: what waits or walks then hands in what it has. */
  readonly stopping: AbortSignal;
}

/** The way to other accounts' workflows. What one is started with is for the launcher to know. */
export interface AccountLauncher {
  isRunning(account: string): Promise<boolean>;
  /** @returns false where it runs already */
  launch(account: string, terms: unknown): Promise<boolean>;
}

export interface ActivityLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}
