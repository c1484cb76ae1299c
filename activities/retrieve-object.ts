import { StripeFailure } from '../src/domain/failures.js';
import { readInterval } from '../src/domain/read-interval.js';
import type { Version } from '../src/domain/version.js';
import { readFields } from '../src/postgres/read-fields.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { objectNamed, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { compositeKeys } from '../src/stripe/stored-objects.js';
import { completeLists } from './complete-lists.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';

/** What a read of an object found, with the interval of Stripe's clock in which it was current. */
export type Read =
  | { readonly found: 'object'; readonly version: Version; readonly data: string; readonly source: string }
  | { readonly found: 'gone'; readonly version: Version; readonly source: string };

/**
 * This object has no address, so Stripe can say nothing of it: the id of its parent is not known, its parent is
 * gone, or it is a discount of something else than a customer. Not a deletion; what its own events say is all there
 * is. Whoever takes it for a failure takes it for a final one.
 */
export class NotReadable extends StripeFailure {
  constructor(message: string, requestId?: string) {
    super('invalid', { message, requestId });
  }
}

interface ReadOptions {
  readonly apiVersion: string | null;
  readonly signal: AbortSignal;
}

interface Address {
  readonly path: string;
  /** Where the object above it is read, where the path holds its id. */
  readonly parent: string | null;
}

/**
 * Reads an object from Stripe by its id, and by its parent's id where the path needs one, with its lists completed.
 *
 * An object is gone where Stripe says `deleted: true`, or 404 for the object itself. A 404 of a path with a parent
 * in it may mean either of the two, and Stripe's words for it are not to be relied on: the parent is asked for. A
 * card whose customer is gone is not readable, which is no deletion: `customer.source.deleted` says that.
 *
 * @throws NotReadable where the object has no address
 * @throws StripeFailure of kind `malformed` where the answer is another object or carries no `Date`; and what
 *   `completeLists` throws
 */
export async function retrieveObject(
  deps: ActivityDeps,
  entity: EntityKey,
  options: ReadOptions,
): Promise<Read> {
  const address = await addressOf(deps, entity);
  const client = deps.stripe(entity.account);
  const { apiVersion, signal } = options;
  let further = 0;
  const get = (path: string) => client.get(path, { signal, ...(apiVersion === null ? {} : { apiVersion }) });
  const getFurther = (path: string) => {
    further += 1;
    return get(path);
  };
  try {
    let response: StripeResponse;
    try {
      response = await get(address.path);
    } catch (error) {
      if (!(error instanceof StripeFailure) || error.kind !== 'gone' || error.version === undefined)
        throw error;
      await checkParent(entity, address, getFurther);
      return { found: 'gone', version: error.version, source: `read:${error.requestId ?? 'without-id'}` };
    }
    return await understood(entity, response, getFurther);
  } finally {
    if (further > 0) await recordReads(deps.pool, entity.account, further);
  }
}

async function understood(
  entity: EntityKey,
  response: StripeResponse,
  get: (path: string) => Promise<StripeResponse>,
): Promise<Read> {
  const version = readInterval(response);
  const body = response.body as { id?: unknown; object?: unknown; deleted?: unknown };
  const source = `read:${response.requestId ?? 'without-id'}`;
  const isIt = body.object === entity.object && typeof body.id === 'string';
  // A customer has one discount at a time, so another one in its place ended this one.
  const isAnother = isIt && body.id !== ownId(entity);
  if (version === null || !isIt || (isAnother && entity.object !== 'discount')) {
    throw new StripeFailure('malformed', {
      message: `Stripe's answer to the read of a ${entity.object} is not that object (request ${response.requestId ?? 'without id'}).`,
    });
  }
  if (body.deleted === true || isAnother) return { found: 'gone', version, source };
  const whole = await completeLists({ text: response.text, version }, get);
  return { found: 'object', version: whole.version, source, data: storableJson(whole.text) };
}

/** Throws `NotReadable` where the 404 was the parent's. A parent that cannot be read leaves the question open. */
async function checkParent(
  entity: EntityKey,
  { parent }: Address,
  get: (path: string) => Promise<StripeResponse>,
): Promise<void> {
  if (parent === null) return;
  const parentGone = (requestId: string | null | undefined) =>
    new NotReadable(
      `A ${entity.object} cannot be read from Stripe: the object that it belongs to is gone (request ${requestId ?? 'without id'}).`,
      requestId ?? undefined,
    );
  try {
    const response = await get(parent);
    if ((response.body as { deleted?: unknown }).deleted === true) throw parentGone(response.requestId);
  } catch (error) {
    if (error instanceof StripeFailure && error.kind === 'gone') throw parentGone(error.requestId);
    throw error;
  }
}

/** Other things than a customer that a discount may belong to. Stripe shows no such discount under its customer. */
const DISCOUNTED = ['subscription', 'subscription_item', 'invoice', 'invoice_item', 'checkout_session'];

/** The object's path with its ids filled in: the last placeholder is its own, those before are parents. */
async function addressOf(deps: ActivityDeps, entity: EntityKey): Promise<Address> {
  const known = objectNamed(entity.object);
  const all = [known?.retrievePath, ...(known?.otherRetrievePaths ?? [])].filter((path) => path != null);
  const direct = all.find((template) => parentsIn(template).length === 0);
  // An undocumented twin of `external_accounts` comes first in the catalog.
  const templates = direct === undefined ? all.filter((path) => !path.includes('/bank_accounts/')) : [direct];
  const parents = new Set(templates.flatMap(parentsIn));
  const entityInTable = { ...entity, table: tableOf(entity.object) };
  const found =
    parents.size === 0 ? {} : await readFields(deps.pool, entityInTable, [...parents, ...DISCOUNTED]);
  if (entity.object === 'discount') {
    const owner = DISCOUNTED.find((name) => found[name] !== undefined);
    if (owner !== undefined)
      throw new NotReadable(
        `A discount of a ${owner.replace('_', ' ')} cannot be read from Stripe by itself.`,
      );
  }
  for (const template of templates) {
    const names = parentsIn(template);
    if (names.some((name) => found[name] === undefined)) continue;
    const path = template.replace(/\{([^}]+)\}/g, (_, name: string) =>
      encodeURIComponent(names.includes(name) ? (found[name] ?? '') : ownId(entity)),
    );
    return { path, parent: names.length === 0 ? null : path.split('/').slice(0, 4).join('/') };
  }
  throw new NotReadable(
    `A ${entity.object} cannot be read from Stripe: ${templates.length === 0 ? 'its API has no path for one' : 'the id of the object that it belongs to is not known'}.`,
  );
}

/** The placeholders of a path that are not the object's own: all but one at its end. */
function parentsIn(template: string): string[] {
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] ?? '');
  return template.endsWith('}') ? names.slice(0, -1) : names;
}

/** The object's own part of a key that is made of several fields. */
function ownId(entity: EntityKey): string {
  const parts = compositeKeys()[entity.object]?.length ?? 1;
  return entity.objectId
    .split(':')
    .slice(parts - 1)
    .join(':');
}
