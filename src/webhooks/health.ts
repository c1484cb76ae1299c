import type { Pool } from 'pg';

/** How long an answer is taken for true, in milliseconds: anybody may ask, and PostgreSQL is not for anybody. */
const FRESH_MS = 1_000;

/** Whether PostgreSQL answers; asked once at a time, however many want to know. */
export function createHealth(pool: Pick<Pool, 'query'>): () => Promise<boolean> {
  let asked = Number.NEGATIVE_INFINITY;
  let answer = Promise.resolve(false);
  let isAsking = false;
  return () => {
    if (isAsking || performance.now() - asked < FRESH_MS) return answer;
    isAsking = true;
    answer = pool.query('select 1').then(
      () => true,
      () => false,
    );
    return answer.finally(() => {
      isAsking = false;
      asked = performance.now();
    });
  };
}
