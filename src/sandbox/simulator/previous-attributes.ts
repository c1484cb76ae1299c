import { isDeepStrictEqual } from 'node:util';
import { isJsonObject, type JsonObject, type JsonValue } from './json.js';

/**
 * `data.previous_attributes` of an `*.updated` event: the old values of what changed and nothing else. A nested object
 * holds only its own changed keys, an array is given whole, and a key that was not there before is null.
 */
export function previousAttributes(before: JsonObject, after: JsonObject): JsonObject {
  const previous: JsonObject = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[key];
    const current = after[key];
    if (isDeepStrictEqual(old, current)) continue;
    previous[key] = previousValue(old, current);
  }
  return previous;
}

function previousValue(old: JsonValue | undefined, current: JsonValue | undefined): JsonValue {
  if (old === undefined) return null;
  return isJsonObject(old) && isJsonObject(current) ? previousAttributes(old, current) : old;
}
