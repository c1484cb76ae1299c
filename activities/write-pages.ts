import type { LimitFunction } from 'p-limit';
import type { Version } from '../src/domain/version.js';
import type { ListingStep } from '../src/postgres/listing-step.js';
import { entityKeyOf, type ListedType, type PageResult, upsertPages } from '../src/postgres/upsert-page.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { cutOnPage } from '../src/stripe/embedded-lists.js';
import { storableJson } from '../src/stripe/storable-json.js';
import type { ActivityDeps } from './deps.js';
import { isInTheWay } from './in-the-way.js';
import { type BatchWriter, createBatchWriter } from './write-batches.js';

/** A page of a type's list. */
export interface PageOfList {
  readonly response: StripeResponse;
  readonly entries: readonly unknown[];
  readonly hasMore: boolean;
  readonly version: Version;
  readonly step: ListingStep;
}

/** Upserts pages of a type's list, each with the step that it is, several of them in a transaction. */
export function createPageWriter(
  deps: ActivityDeps,
  type: Omit<ListedType, 'isOneOfMany'>,
  writing: LimitFunction,
): BatchWriter<PageOfList, PageResult> {
  const { keyFields } = type;
  return createBatchWriter<PageOfList, PageResult>({
    writing,
    rowsOf: ({ entries }) => entries.flatMap((entry) => entityKeyOf(entry, keyFields) ?? []),
    mayShareRows: false,
    lengthOf: ({ response }) => response.text.length,
    async write(pages) {
      const results = await upsertBatch(deps, type, pages);
      for (const [index, { refused }] of results.entries()) {
        for (const { objectId, reason } of refused) {
          const { account, object } = type;
          deps.log.warn(
            { account, object, objectId, reason, requestId: pages[index]?.response.requestId },
            'PostgreSQL cannot hold this object; the listing goes on without it',
          );
        }
      }
      return results;
    },
  });
}

async function upsertBatch(
  { pool }: ActivityDeps,
  listed: Omit<ListedType, 'isOneOfMany'>,
  pages: readonly PageOfList[],
): Promise<PageResult[]> {
  const type = { ...listed, isOneOfMany: pages.some(({ hasMore }) => hasMore) };
  const upserts = pages.map(({ response, entries, hasMore, version, step }) => ({
    page: storableJson(response.text),
    leaveOut: cutOnPage(response.text, hasMore).flatMap(
      (at) => entityKeyOf(entries[at], type.keyFields) ?? [],
    ),
    ...version,
    step,
  }));
  try {
    return await upsertPages(pool, type, upserts);
  } catch (error) {
    // Somebody else is at some of these rows, in another order: of one page at a time it holds less.
    if (pages.length === 1 || !isInTheWay(error)) throw error;
  }
  const results: PageResult[] = [];
  for (const upsert of upserts) results.push(...(await upsertPages(pool, type, [upsert])));
  return results;
}
