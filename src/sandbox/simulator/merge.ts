import { isJsonObject, type JsonObject } from './json.js';

/**
 * Lays an update over an object as Stripe does: hashes are merged, everything else is replaced, and a metadata key is
 * removed by giving it no value.
 */
export function mergeUpdate(data: JsonObject, fields: JsonObject): JsonObject {
  const merged: JsonObject = { ...data };
  for (const [key, value] of Object.entries(fields)) {
    const current = merged[key];
    if (key === 'metadata' && isJsonObject(value))
      merged[key] = mergeMetadata(isJsonObject(current) ? current : {}, value);
    else merged[key] = isJsonObject(value) && isJsonObject(current) ? mergeUpdate(current, value) : value;
  }
  return merged;
}

function mergeMetadata(current: JsonObject, update: JsonObject): JsonObject {
  const metadata = { ...current };
  for (const [key, value] of Object.entries(update)) {
    if (value === null || value === '') delete metadata[key];
    else metadata[key] = value;
  }
  return metadata;
}
