/**
 * Thin events: what happened to which object, without the object itself. They are of `/v2`, so `created` is a text, the
 * type of a `/v1` event begins with `v1.`, and the id is another one than that of the snapshot.
 */
import { catalogObject, ownerOfCollection } from './catalog.js';
import type { SimulatedEvent } from './event-log.js';
import { randomText } from './ids.js';
import { isJsonObject, type JsonObject } from './json.js';
import { parentId } from './parents.js';
import type { Random } from './random.js';

/** @param context the account that the event is of, for the endpoint of a platform */
export function thinEventJson(event: SimulatedEvent, random: Random, context: string | null): string {
  const snapshot = JSON.parse(event.json) as JsonObject;
  const { request, livemode = false } = snapshot;
  const related = relatedObject(event, snapshot);
  return JSON.stringify({
    id: `evt_test_65${randomText(random, 49)}`,
    object: 'v2.core.event',
    context,
    created: new Date(Math.floor(event.changedAt * 1000)).toISOString(),
    livemode,
    reason: isJsonObject(request) && request.id !== null ? { type: 'request', request } : null,
    ...(related === undefined ? {} : { related_object: related }),
    snapshot_event: event.id,
    type: `v1.${event.type}`,
  });
}

/** Missing for what cannot be retrieved: a preview, and objects without a path of their own. */
function relatedObject(event: SimulatedEvent, snapshot: JsonObject): JsonObject | undefined {
  const { retrievePath, singleton } = catalogObject(event.object);
  if (retrievePath === null) return undefined;
  const data = isJsonObject(snapshot.data) && isJsonObject(snapshot.data.object) ? snapshot.data.object : {};
  const url = urlOf(retrievePath, event.objectId, data);
  if (url === undefined) return undefined;
  return singleton || event.objectId === undefined
    ? { type: event.object, url }
    : { id: event.objectId, type: event.object, url };
}

/** Fills a path such as `/v1/customers/{customer}/tax_ids/{id}`: the last id is the object's, one before its parent's. */
function urlOf(path: string, id: string | undefined, data: JsonObject): string | undefined {
  const segments = path.split('/');
  const last = segments.length - 1;
  const filled = segments.map((segment, index) => {
    if (!segment.startsWith('{')) return segment;
    if (index === last) return id;
    const parent = ownerOfCollection(segments.slice(0, index).join('/'));
    return parent === undefined ? undefined : parentId(data, undefined, parent);
  });
  return filled.includes(undefined) ? undefined : filled.join('/');
}
