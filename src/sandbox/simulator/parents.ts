/** Which object another one hangs on, where Stripe shows it in the object itself. */
import { idOf, type JsonObject } from './json.js';

/** The field that names the parent, where it differs from the last part of the parent's name. */
const FIELDS: Readonly<Record<string, string>> = { application_fee: 'fee' };

export function parentField(parentObject: string): string {
  return FIELDS[parentObject] ?? parentObject.slice(parentObject.lastIndexOf('.') + 1);
}

/**
 * The parent's id: from the object, or from what was noted when it was made (the lines of a credit note, for one, say
 * nowhere whose they are).
 */
export function parentId(
  data: JsonObject,
  noted: Readonly<Record<string, string>> | undefined,
  parentObject: string,
): string | undefined {
  return noted?.[parentObject] ?? idOf(data[parentField(parentObject)]);
}
