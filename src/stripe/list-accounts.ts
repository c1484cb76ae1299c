import { StripeFailure } from '../domain/failures.js';
import type { StripeClient } from './client.js';

/** A page of the accounts that are connected to a platform, newest first. */
export interface AccountPage {
  readonly ids: readonly string[];
  readonly hasMore: boolean;
}

/** @throws StripeFailure */
export async function listAccounts(
  client: StripeClient,
  after: string | null,
  signal: AbortSignal,
): Promise<AccountPage> {
  const from = after === null ? '' : `&starting_after=${encodeURIComponent(after)}`;
  const { body, requestId } = await client.get(`/v1/accounts?limit=100${from}`, { signal });
  const { data, has_more: hasMore } = body as { data?: unknown; has_more?: unknown };
  const ids = Array.isArray(data) ? data.map((each: { id?: unknown } | null) => each?.id) : null;
  if (ids?.every((id): id is string => typeof id === 'string') && typeof hasMore === 'boolean') {
    return { ids, hasMore: hasMore && ids.length > 0 };
  }
  throw new StripeFailure('malformed', {
    message: 'Stripe answered the list of connected accounts with something that is no list of accounts.',
    ...(requestId === null ? {} : { requestId }),
  });
}
