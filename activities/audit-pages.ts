import { StripeFailure } from '../src/domain/failures.js';
import { readInterval } from '../src/domain/read-interval.js';
import type { Version } from '../src/domain/version.js';
import { entityKeyOf } from '../src/postgres/upsert-page.js';
import { entityKeyFields } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { cutOnPage } from '../src/stripe/embedded-lists.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { readList } from './event-pages.js';

export interface AuditPage {
  /** The page's own text, as PostgreSQL takes it. */
  readonly page: string;
  /** Ids in the list's order. */
  readonly ids: readonly string[];
  readonly hasMore: boolean;
  /** Keys of objects that the page does not show in full. */
  readonly cut: readonly string[];
  readonly version: Version;
}

/** @throws StripeFailure of kind `malformed` where it is no page, cannot be ordered, or shows no way on */
export function auditPageOf(response: StripeResponse, object: string): AuditPage {
  const { entries, hasMore } = readList(response);
  const version = readInterval(response);
  const ids = entries.flatMap((entry) => {
    const { id } = (entry ?? {}) as { id?: unknown };
    return typeof id === 'string' ? [id] : [];
  });
  if (version === null || (hasMore && ids.length === 0)) {
    throw new StripeFailure('malformed', {
      message: `A page of ${object} has no Date or no way on (request ${response.requestId ?? 'without id'}); it is asked again.`,
      requestId: response.requestId ?? undefined,
    });
  }
  const keyFields = entityKeyFields(object);
  const cut = cutOnPage(response.text, hasMore).flatMap((at) => entityKeyOf(entries[at], keyFields) ?? []);
  return { page: storableJson(response.text), ids, hasMore, cut, version };
}

/** The answer of a path that shows one object, as a page of that one. */
export function wrapped(response: StripeResponse): StripeResponse {
  return { ...response, text: `{"data":[${response.text}]}`, body: { data: [response.body] } };
}
