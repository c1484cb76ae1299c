import { StripeFailure } from '../src/domain/failures.js';
import { readInterval } from '../src/domain/read-interval.js';
import type { Version } from '../src/domain/version.js';
import { readFields } from '../src/postgres/read-fields.js';
import { recordReads } from '../src/postgres/record-reads.js';
import { entityKeyOf } from '../src/postgres/upsert-page.js';
import { entityKeyFields, objectNamed, tableOf } from '../src/stripe/catalog.js';
import type { StripeResponse } from '../src/stripe/client.js';
import { storableJson } from '../src/stripe/storable-json.js';
import { completeLists } from './complete-lists.js';
import type { ActivityDeps } from './deps.js';
import type { EntityKey } from './entity-traits.js';

/** What a read of an object found, with the interval of Stripe's clock in which it was current. */
export type Read =
  | { readonly found: 'object'; readonly version: Version; readonly data: string; readonly source: string }
  | { readonly found: 'gone'; readonly version: Version; readonly source: string };

/**
 * This object has no address, so Stripe can say nothing of it: the id of its parent is not known, its parent is gone, it
 * is a discount of something else than a customer, or this account has no such settings. Not a deletion; what its own
 * events say is all there is. Whoever takes it for a failure takes it for a final one.
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
  /** Whether the path leads to whatever there is one of, and names no object by its id. */
  readonly onlyOne: boolean;
}

/**
 * Reads an object from Stripe by its id, and by its parent's id where the path needs one, with its lists completed.
 * What an account or a customer has one of (the balance, a cash balance) is read at its path, and never gone.
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
      if (address.onlyOne && entity.object !== 'discount') {
        throw new NotReadable(
          `A ${entity.object} cannot be read from Stripe: there is none at ${address.path} (request ${error.requestId ?? 'without id'}).`,
          error.requestId ?? undefined,
        );
      }
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
  const body = response.body as { object?: unknown; deleted?: unknown };
  const source = `read:${response.requestId ?? 'without-id'}`;
  const key = body.object === entity.object ? entityKeyOf(body, entityKeyFields(entity.object)) : null;
  // A customer has one discount at a time, so another one in its place ended this one.
  const isAnother = key !== entity.objectId;
  if (version === null || key === null || (isAnother && entity.object !== 'discount')) {
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

/**
 * The object's path with its ids filled in: the last placeholder is its own, those before are parents, whose ids are
 * in the object's key or in its known states.
 */
async function addressOf(deps: ActivityDeps, entity: EntityKey): Promise<Address> {
  const known = objectNamed(entity.object);
  const all = [known?.retrievePath, ...(known?.otherRetrievePaths ?? [])].filter((path) => path != null);
  const direct = all.find((template) => parentsIn(template).length === 0);
  // An undocumented twin of `external_accounts` comes first in the catalog.
  const templates = direct === undefined ? all.filter((path) => !path.includes('/bank_accounts/')) : [direct];
  const parents = new Set(templates.flatMap(parentsIn));
  const entityInTable = { ...entity, table: tableOf(entity.object) };
  const inKey = keyParts(entity);
  const unknown = [...parents].filter((name) => inKey[name] === undefined);
  const found = {
    ...(unknown.length > 0 && (await readFields(deps.pool, entityInTable, [...unknown, ...DISCOUNTED]))),
    ...inKey,
  };
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
      encodeURIComponent((names.includes(name) ? found[name] : inKey.id) ?? ''),
    );
    const parent = names.length === 0 ? null : path.split('/').slice(0, 4).join('/');
    return { path, parent, onlyOne: !template.endsWith('}') };
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

/** The fields that the object's key is made of. Only the last one, which is the object's own id, may hold a colon. */
function keyParts(entity: EntityKey): Record<string, string> {
  const fields = entityKeyFields(entity.object);
  const parts = entity.objectId.split(':');
  const own = parts.splice(fields.length - 1).join(':');
  return Object.fromEntries(fields.map((field, index) => [field, parts[index] ?? own]));
}
