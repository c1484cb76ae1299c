import { DatabaseError } from 'pg';

/** Whether somebody else's transaction was in the way: a deadlock, or a lock that was not to be had in time. */
export function isInTheWay(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '40P01' || error.code === '55P03');
}
