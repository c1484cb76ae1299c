import { InvalidArgumentError } from 'commander';
import { listableObjects, resolveTypes, UnknownTypesError } from '../stripe/catalog.js';

/** Parses `--types`: object and table names alike, separated by commas. Returns object names. */
export function parseTypes(text: string): string[] {
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Name at least one type.');
  try {
    const objects = resolveTypes(names).map((entry) => entry.object);
    const listable = new Set(listableObjects().map((entry) => entry.object));
    const unlisted = objects.filter((object) => !listable.has(object));
    if (unlisted.length > 0) {
      throw new InvalidArgumentError(`Stripe has no list of its own for ${unlisted.join(', ')}.`);
    }
    return objects;
  } catch (error) {
    if (error instanceof UnknownTypesError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
