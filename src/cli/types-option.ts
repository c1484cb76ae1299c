import { InvalidArgumentError } from 'commander';
import { resolveTypes, UnknownTypesError } from '../stripe/catalog.js';
import { backfillPhases } from '../stripe/listings.js';

/** Parses `--types`: object and table names alike, separated by commas. Returns object names. */
export function parseTypes(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Name at least one type.');
  try {
    const { leftOut } = backfillPhases(names, () => false);
    if (leftOut.length > 0)
      throw new InvalidArgumentError(
        leftOut.map(({ object, reason }) => `${object} cannot be listed: ${reason}.`).join(' '),
      );
    return resolveTypes(names).map((entry) => entry.object);
  } catch (error) {
    if (error instanceof UnknownTypesError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
