/** What a failure says to the person at the command line: what happened, why, and what to do. */
import { UserError } from '../domain/failures.js';
import { postgresErrorSummary } from '../postgres/errors.js';
import { SchemaNotMigratedError } from '../postgres/schema.js';
import { temporalFailureText } from './temporal-failure.js';

export interface FailureText {
  readonly text: string;
  readonly exitCode: 1 | 2;
}

/** Never a stack trace, and never a secret, whatever the error's own message holds. */
export function failureText(error: unknown): FailureText {
  const said = explained(error) ?? `${firstLine(messageOf(error))} (add --verbose for the stack trace)`;
  return { text: withoutSecrets(said), exitCode: error instanceof UserError ? error.exitCode : 1 };
}

/** All that is known of an error, for whoever asked for it with --verbose. */
export function failureTrace(error: unknown): string {
  const parts: string[] = [];
  for (let each = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth += 1) {
    parts.push(`${depth > 0 ? 'caused by: ' : ''}${each.stack ?? messageOf(each)}`);
  }
  return withoutSecrets(parts.join('\n'));
}

/**
 * An error whose message was written for people by a part that knows no `UserError`, as one. What Node raised
 * itself (it has a code) stays what it is.
 */
export function forPeople(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof UserError || 'code' in error) return error;
  if (error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError)
    return error;
  const told = new UserError(error.message);
  told.cause = error;
  return told;
}

function explained(error: unknown): string | null {
  if (error instanceof UserError || error instanceof SchemaNotMigratedError) return error.message;
  const temporal = temporalFailureText(error);
  if (temporal !== null) return temporal;
  // A file that is missing says ENOENT as well, as the socket of a PostgreSQL that is not there does.
  const postgres = error instanceof Error && 'path' in error ? null : postgresErrorSummary(error);
  return postgres === null
    ? null
    : `${postgres} Check that it runs and what DATABASE_URL names, then try again.`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

/** Keys of Stripe, and the password of a database's URL. */
export function withoutSecrets(text: string): string {
  return text
    .replace(/\b([spr]k|whsec)_(?!…)\w+/g, '$1_…')
    .replace(/(\bpostgres(?:ql)?:\/\/[^\s:@/]*:)(?!password@)[^\s@]+@/g, '$1…@');
}
