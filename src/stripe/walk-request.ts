/** The request of a walk over parents: which list of a parent's is asked for, and what of the parent it takes. */
import type { ParentWalk } from './listings.js';

export interface WalkedParent {
  readonly id: string;
  /** The text fields that `parentFields` names; one that the parent lacks is null. */
  readonly fields: Readonly<Record<string, string | null>>;
}

const PLACEHOLDER = /\{parent(?:\.(\w+))?\}/g;

/** The fields of a parent, besides its id, that the requests of a walk are made of. */
export function parentFields({ path, query }: ParentWalk): string[] {
  const templates = [path, ...Object.values(query)];
  const found = templates.flatMap((template) =>
    [...template.matchAll(PLACEHOLDER)].map(([, field]) => field),
  );
  return [...new Set(found.filter((field) => field !== undefined))];
}

/**
 * The path and query of a page of a parent's list, or of the one object there is. Null where the parent lacks a field
 * that the request needs, and so has nothing to show.
 */
export function walkRequest(
  walk: ParentWalk,
  parent: WalkedParent,
  startingAfter: string | null,
): string | null {
  if (parentFields(walk).some((field) => parent.fields[field] == null)) return null;
  const fill = (template: string, encode: (value: string) => string) =>
    template.replace(PLACEHOLDER, (_, field: string | undefined) =>
      encode((field === undefined ? parent.id : parent.fields[field]) ?? ''),
    );
  const search = new URLSearchParams(walk.paged && !walk.single ? { limit: '100' } : {});
  for (const [name, value] of Object.entries(walk.query)) search.set(name, fill(value, String));
  if (startingAfter !== null) search.set('starting_after', startingAfter);
  const path = fill(walk.path, encodeURIComponent);
  return search.size === 0 ? path : `${path}?${search}`;
}
