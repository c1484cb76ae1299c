/**
 * What an error of PostgreSQL, or of the way to it, means: try again, or this data will never go in. The codes
 * are PostgreSQL's SQLSTATEs (appendix "Error Codes" of its manual) and Node's own.
 */
import { DatabaseError } from 'pg';

/** The server or the connection failed, not the statement: the same statement may succeed later. */
const TRANSIENT_CLASSES = new Set([
  '08', // connection exception
  '40', // transaction rollback: serialization failure, deadlock, unknown completion
  '53', // insufficient resources: disk, memory, connections
  '58', // system error: input or output
]);

const TRANSIENT_STATES = new Set([
  '25006', // read-only transaction: the connection reached a standby during a failover
  '25P03', // idle in transaction for too long
  '25P04', // transaction for too long
  '55006', // object in use
  '55P03', // lock not available: lock_timeout
  '57014', // query canceled: statement_timeout
  '57P01', // admin shutdown
  '57P02', // crash shutdown
  '57P03', // cannot connect now: starting up or shutting down
  '57P04', // database dropped
  '57P05', // idle session timeout
]);

const TRANSIENT_SYSTEM_CODES = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT', // the socket of a server that is starting
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

// The pg package raises these without a code.
const TRANSIENT_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|Connection ended unexpectedly)/;

/** A connection after which nothing is known about its transaction: it must not go back to the pool. */
const BROKEN_CONNECTION =
  /^(Query read timeout|Connection terminated|Client has encountered|Client was closed)/;

/**
 * Whether trying again may help: PostgreSQL was unreachable, restarting, out of something, or chose this
 * transaction to give way. After such a failure of a COMMIT nobody knows whether it took place, so what is
 * tried again must find its own traces.
 */
export function isTransientPostgresError(error: unknown): boolean {
  return anyInChain(error, (candidate) => {
    const code = codeOf(candidate);
    if (candidate instanceof DatabaseError) {
      return code !== undefined && (TRANSIENT_STATES.has(code) || TRANSIENT_CLASSES.has(code.slice(0, 2)));
    }
    if (code !== undefined && TRANSIENT_SYSTEM_CODES.has(code)) return true;
    return candidate instanceof Error && TRANSIENT_MESSAGES.test(candidate.message);
  });
}

/**
 * Whether PostgreSQL refused the data itself (classes 22, data exception, and 23, integrity constraint, and
 * 54, a limit of the program such as the depth of a JSON document). Trying again with the same cannot help.
 */
export function isRefusedData(error: unknown): boolean {
  return anyInChain(
    error,
    (candidate) => candidate instanceof DatabaseError && /^(22|23|54)/.test(candidate.code ?? ''),
  );
}

/** Whether the connection that raised this is lost, or in a state that nobody knows. */
export function isBrokenConnection(error: unknown): boolean {
  if (error instanceof DatabaseError) return error.severity === 'FATAL' || error.severity === 'PANIC';
  return error instanceof Error && BROKEN_CONNECTION.test(error.message);
}

/**
 * One line on an error of PostgreSQL, or of the way to it, for Temporal and for logs: its code and the place.
 * Never the server's own words, which quote the data (`Key (id)=(…) already exists`). Null where the error is
 * none of PostgreSQL's.
 */
export function postgresErrorSummary(error: unknown): string | null {
  for (const candidate of chain(error)) {
    if (candidate instanceof DatabaseError) return databaseErrorSummary(candidate);
  }
  if (!isTransientPostgresError(error)) return null;
  const code = [...chain(error)].map(codeOf).find((found) => found !== undefined);
  return `PostgreSQL cannot be reached (${code ?? 'the connection ended'}).`;
}

function databaseErrorSummary({ code, schema, table, column, constraint }: DatabaseError): string {
  const place = [schema, table, column].filter((part) => part !== undefined).join('.');
  const where = place === '' ? '' : ` on ${place}`;
  const rule = constraint === undefined ? '' : `, constraint ${constraint}`;
  return `PostgreSQL answered with error ${code ?? 'without a code'}${where}${rule}.`;
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function anyInChain(error: unknown, test: (candidate: unknown) => boolean): boolean {
  for (const candidate of chain(error)) if (test(candidate)) return true;
  return false;
}

/** The error, what caused it, and the members of an AggregateError (one per address that was tried). */
function* chain(error: unknown, depth = 0): Generator<unknown> {
  if (error === undefined || error === null || depth > 8) return;
  yield error;
  if (error instanceof AggregateError) for (const member of error.errors) yield* chain(member, depth + 1);
  if (error instanceof Error) yield* chain(error.cause, depth + 1);
}
