/** Which of an account's backfills lists what somebody asked for: requests that wait may become one. */
import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { BackfillInput } from '../../workflows/backfill.js';
import type { ResyncRequest } from '../../workflows/messages.js';
import { backfillWorkflowId } from '../domain/ids.js';

/** What a backfill was started with. */
export type AskedBackfill = Pick<BackfillInput, 'types' | 'since' | 'sinceOf'> & {
  /** What the account holds, where it does not hold everything. */
  readonly accountTypes: readonly string[] | null;
};

const NOT_FOUND = 5;

/** Null where it has not begun, or is no longer known. */
export async function readAskedBackfill(
  client: Client,
  account: string,
  number: number,
): Promise<AskedBackfill | null> {
  try {
    const { history } = await client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId: backfillWorkflowId(account, number) },
      maximumPageSize: 1,
    });
    const payload = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
    if (payload === undefined) return null;
    const input = defaultPayloadConverter.fromPayload<BackfillInput>(payload);
    return { ...input, accountTypes: input.settings.backfill.types };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError || (error as { code?: unknown }).code === NOT_FOUND)
      return null;
    throw error;
  }
}

/** Whether the backfill lists all that the request asks for. */
export function answers(backfill: AskedBackfill, request: ResyncRequest): boolean {
  const wanted = request.types ?? backfill.accountTypes;
  if (wanted === null) {
    const bounds = [backfill.since ?? null, ...Object.values(backfill.sinceOf ?? {})];
    return backfill.types === null && bounds.every((bound) => reaches(bound, request.since));
  }
  return wanted.every(
    (object) =>
      (backfill.types === null || backfill.types.includes(object)) &&
      reaches(backfill.sinceOf?.[object] ?? backfill.since ?? null, request.since),
  );
}

/** Seconds of `created` from which on each of them asks; all of it without. */
function reaches(bound: number | null, asked: number | undefined): boolean {
  return bound === null || (asked !== undefined && bound <= asked);
}
