import { StripeFailure } from '../src/domain/failures.js';
import { readInterval } from '../src/domain/read-interval.js';
import type { Version } from '../src/domain/version.js';
import { readFields } from '../src/postgres/read-fields.js';
import { objectNamed } from '../src/stripe/catalog.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { compositeKeys } from '../src/stripe/stored-objects.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';

/** What a read of an object found, with the interval of Stripe's clock in which it was current. */
export type Read =
  | { readonly found: 'object'; readonly version: Version; readonly data: string; readonly source: string }
  | { readonly found: 'gone'; readonly version: Version; readonly source: string };

/**
 * Reads an object from Stripe by its id, and by its parent's id where the path needs one.
 *
 * @throws StripeFailure of kind `invalid` where the path's ids are not known, `malformed` where the answer is
 *   another object or carries no `Date`
 */
export async function retrieveObject(
  deps: ActivityDeps,
  entity: EntityKey,
  options: { readonly apiVersion: string | null; readonly signal: AbortSignal },
): Promise<Read> {
  const path = await retrievePath(deps, entity);
  const client = deps.stripe(entity.account);
  const { apiVersion, signal } = options;
  try {
    const response = await client.get(path, { signal, ...(apiVersion === null ? {} : { apiVersion }) });
    const version = readInterval(response);
    const body = response.body as { id?: unknown; object?: unknown; deleted?: unknown } | null;
    if (version === null || body?.object !== entity.object) {
      throw new StripeFailure('malformed', {
        message: `Stripe's answer to the read of a ${entity.object} is not that object (request ${response.requestId ?? 'without id'}).`,
      });
    }
    const source = `read:${response.requestId ?? 'without-id'}`;
    const isGone = body.deleted === true || (path.endsWith('/discount') && body.id !== entity.objectId);
    if (isGone) return { found: 'gone', version, source };
    return { found: 'object', version, source, data: storableJson(response.text) };
  } catch (error) {
    if (!(error instanceof StripeFailure) || error.kind !== 'gone' || error.version === undefined)
      throw error;
    return { found: 'gone', version: error.version, source: `read:${error.requestId ?? 'without-id'}` };
  }
}

/** The object's path with its ids filled in: the last placeholder is its own, those before are parents. */
async function retrievePath(deps: ActivityDeps, entity: EntityKey): Promise<string> {
  const known = objectNamed(entity.object);
  const templates = [known?.retrievePath, ...(known?.otherRetrievePaths ?? [])].filter(
    (path) => path != null,
  );
  const fields = [...new Set(templates.flatMap(placeholders))];
  const parents =
    fields.length > 1 || entity.object === 'discount' ? await readFields(deps.pool, entity, fields) : {};
  for (const template of templates) {
    const names = placeholders(template);
    const own = template.endsWith('}') ? names.at(-1) : undefined;
    const ids = names.map((name) => (name === own ? ownId(entity) : parents[name]));
    if (ids.some((id) => id === undefined)) continue;
    return names.reduce(
      (path, name, index) => path.replace(`{${name}}`, encodeURIComponent(ids[index] ?? '')),
      template,
    );
  }
  throw new StripeFailure('invalid', {
    message: `A ${entity.object} cannot be read from Stripe: the id of its parent is not known.`,
  });
}

function placeholders(template: string): string[] {
  return [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? '');
}

/** The object's own part of a key that is made of several fields. */
function ownId(entity: EntityKey): string {
  const parts = compositeKeys()[entity.object]?.length ?? 1;
  return entity.objectId
    .split(':')
    .slice(parts - 1)
    .join(':');
}
