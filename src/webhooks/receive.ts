import type { IncomingMessage } from 'node:http';
import { validateAlias } from '../config.js';
import { UserError } from '../domain/failures.js';
import { postgresErrorSummary } from '../postgres/errors.js';
import type { ConnectRoutes } from './connect-routes.js';
import type { Counters } from './counters.js';
import { DeadlineError, type WebhookInbox } from './inbox.js';
import type { Outcome } from './outcomes.js';
import type { BodyReader } from './read-body.js';
import { type Dedupe, readDelivery, textOf } from './read-delivery.js';
import { isSigned, isWithinTolerance, readSignature, TOLERANCE_SECONDS } from './signature.js';

/** Takes one delivery to the alias, and says what became of it. */
export type Receive = (alias: string, incoming: IncomingMessage) => Promise<Outcome>;

export interface ReceiveDeps {
  readonly inbox: WebhookInbox;
  readonly bodies: BodyReader;
  readonly counters: Counters;
  readonly secretsOf: (alias: string) => readonly string[];
  readonly connect: ConnectRoutes;
  readonly dedupe: Dedupe | undefined;
  readonly log: {
    info(fields: Record<string, unknown>, message: string): void;
    warn(fields: Record<string, unknown>, message: string): void;
  };
  /** Our clock, in milliseconds. */
  readonly now: () => number;
}

/** Nothing is asked of PostgreSQL before the signature is checked, so that whoever has no secret costs it nothing. */
export function createReceive(deps: ReceiveDeps): Receive {
  const { bodies, counters } = deps;
  const store = createStore(deps);

  return async (alias, incoming) => {
    const count = (outcome: Outcome, isProven: boolean, keptUnder = alias): Outcome => {
      counters.count(keptUnder, outcome, isProven);
      return outcome;
    };
    if (!isAlias(alias)) return 'not started';
    const secrets = deps.secretsOf(alias);
    if (secrets.length === 0) return count('not started', false);
    const signature = readSignature(incoming.headers['stripe-signature']);
    if (signature === null) return count('forged', false);
    const now = deps.now();
    if (!isWithinTolerance(signature.at, now)) return count('stale', false);
    const { bytes, release } = await bodies.read(incoming);
    try {
      if (bytes === 'too large') return count('too large', false);
      if (bytes === 'no room') return count('unavailable', false);
      const text = bytes === 'broken off' ? null : textOf(bytes);
      if (text === null) return count('malformed', false);
      if (!isSigned(text, signature, secrets, now)) return count('forged', false);
      const isSignedFor = (other: string) => isSigned(text, signature, deps.secretsOf(other), now);
      const { outcome, keptUnder } = await store(alias, signature.at, text, isSignedFor);
      return count(outcome, true, keptUnder);
    } finally {
      release();
    }
  };
}

/** Says once that PostgreSQL is away, and once that it is back: Stripe goes on delivering meanwhile. */
function createStore({ inbox, connect, dedupe, log }: ReceiveDeps) {
  let isAway = false;
  return async (
    alias: string,
    at: number,
    text: string,
    isSignedFor: (alias: string) => boolean,
  ): Promise<{ readonly outcome: Outcome; readonly keptUnder: string }> => {
    const delivery = readDelivery(text, at, dedupe);
    if (delivery === null) return { outcome: 'malformed', keptUnder: alias };
    const { event, stripeAccount } = delivery;
    let keptUnder = alias;
    try {
      if (stripeAccount !== null) keptUnder = await connect.aliasFor(alias, stripeAccount, isSignedFor);
      const outcome =
        event === 'hint'
          ? await inbox.hint(keptUnder)
          : await inbox.store(keptUnder, seenAt(at, event.created), event);
      if (isAway) log.info({}, 'webhooks are stored again');
      isAway = false;
      return { outcome, keptUnder };
    } catch (error) {
      if (!isAway)
        log.warn(
          { reason: reasonOf(error) },
          'webhooks cannot be stored: their senders are told to come again',
        );
      isAway = true;
      return { outcome: 'unavailable', keptUnder };
    }
  };
}

/** The signature's time is the only word of Stripe's clock in a delivery. No event is seen before it is made. */
function seenAt(at: number, created: number): number {
  return created > at && created <= at + TOLERANCE_SECONDS ? created : at;
}

function isAlias(alias: string): boolean {
  try {
    validateAlias(alias);
    return true;
  } catch (error) {
    if (error instanceof UserError) return false;
    throw error;
  }
}

/** Never the words of an error that is not known to be free of data. */
function reasonOf(error: unknown): string {
  if (error instanceof DeadlineError) return `${error.message}.`;
  return postgresErrorSummary(error) ?? (error instanceof Error ? error.name : 'unknown');
}
