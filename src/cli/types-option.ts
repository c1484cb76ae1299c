import { InvalidArgumentError } from 'commander';
import { resolveTypes, UnknownTypesError } from '../stripe/catalog.js';
import { backfillPhases, listingOf } from '../stripe/listings.js';

/** Parses `--types`: object and table names alike, separated by commas. Returns object names, of what can be listed. */
export function parseTypes(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Name at least one type.');
  try {
    const { leftOut } = backfillPhases(names, () => false);
    if (leftOut.length > 0) {
      throw new InvalidArgumentError(
        leftOut.map(({ object, reason }) => `${object} cannot be listed: ${reason}.`).join(' '),
      );
    }
    return [...new Set(resolveTypes(names).map((entry) => entry.object))];
  } catch (error) {
    if (error instanceof UnknownTypesError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

/** Lines that say which of the types come inside of others, which are listed in their place. */
export function embeddedText(objects: readonly string[]): string {
  return objects
    .flatMap((object) => {
      const listing = listingOf(object);
      return listing.how === 'embedded'
        ? [
            `Each ${listing.parent} holds its objects of type ${object}, so ${listing.parent} is listed for them.\n`,
          ]
        : [];
    })
    .join('');
}
