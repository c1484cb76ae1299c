/** Where the state of an object comes from: an event's payload, a read, or whichever is right. */
export type Hydrate = 'auto' | 'fetch' | 'payload';

export interface Hydration {
  readonly hydrate: Hydrate;
  /** The API version whose payloads may be stored; null takes any. */
  readonly apiVersion: string | null;
}

export interface Payload {
  /** Whether an embedded list of it is cut: then it is not all of the object. */
  readonly partial: boolean;
  readonly apiVersion: string | null;
}

/** Whether an event's payload may become the row. */
export function isUsable({ hydrate, apiVersion }: Hydration, payload: Payload): boolean {
  if (hydrate !== 'auto') return hydrate === 'payload';
  return !payload.partial && (apiVersion === null || payload.apiVersion === apiVersion);
}
