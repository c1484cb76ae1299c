const FIELD = '"pending_webhooks":';

/**
 * An event's JSON with the number of endpoints that have not yet answered with a 2xx. It is the only field of an event
 * that changes after its making. Whatever stands in `data` comes before it, and a text there has its quotes escaped.
 */
export function withPendingWebhooks(json: string, pending: number): string {
  if (pending === 0) return json;
  const at = json.lastIndexOf(`${FIELD}0`) + FIELD.length;
  return `${json.slice(0, at)}${pending}${json.slice(at + 1)}`;
}
