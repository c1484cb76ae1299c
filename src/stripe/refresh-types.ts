import { openWhile } from './append-only.js';
import { type CatalogObject, objectNamed } from './catalog.js';
import { backfillPhases, type Listing, listingOf } from './listings.js';

/** A type whose objects change without an event, as far as its refresh needs it. */
export interface RefreshType {
  readonly object: string;
  /**
   * What may be left out of a refresh: what is older than the last one (`newest`), parents that have not changed since
   * (`parents`), or nothing.
   */
  readonly partly: 'newest' | 'parents' | null;
}

/**
 * The types that have to be listed again now and then: those that may be created, edited or deleted without an event,
 * and singletons, which are one request each. In the order in which a backfill lists them.
 *
 * @param within only these, and those that hold them; null for all
 * @throws UnknownTypesError
 */
export function refreshTypes(within: readonly string[] | null): RefreshType[] {
  const { phases } = backfillPhases(within, () => false);
  return phases.flat().flatMap((object) => {
    const entry = objectNamed(object);
    if (entry === undefined) return [];
    const listing = listingOf(object);
    if (listing.how !== 'singleton' && isTold(entry)) return [];
    return [{ object, partly: partOf(object, listing) }];
  });
}

/** Whether events tell of all that happens to objects of this type. */
function isTold({ eventCoverage: { created, updated, deleted }, deletable }: CatalogObject): boolean {
  return created && updated && (deleted || !deletable);
}

function partOf(object: string, listing: Listing): RefreshType['partly'] {
  if (listing.how === 'parents') return 'parents';
  const isNarrowed = listing.how === 'list' && listing.createdFilter && listing.walks.length === 0;
  return isNarrowed && openWhile(object) !== null ? 'newest' : null;
}
