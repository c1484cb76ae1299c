/** Turns a change of an object into Stripe's event. */
import { renderInVersion } from './api-version.js';
import { makeEvent, type SimulatedEvent } from './event-log.js';
import { hasPreviousAttributes } from './event-types.js';
import { eventId, randomText } from './ids.js';
import type { JsonObject } from './json.js';
import { previousAttributes } from './previous-attributes.js';
import type { Random } from './random.js';
import { drawDelay, type VisibilityProfile } from './visibility.js';

export interface Occurrence {
  readonly type: string;
  readonly object: string;
  readonly objectId?: string;
  readonly data: JsonObject;
  readonly before?: JsonObject;
  /** Seconds of the simulator's clock, with a fraction. */
  readonly changedAt: number;
  readonly now: number;
  readonly visibleAfterSeconds?: number;
  readonly apiVersion: string;
}

export interface Announced {
  readonly event: SimulatedEvent;
  /** The event's JSON with its object in another version: a webhook endpoint may have one of its own. */
  readonly jsonIn: (apiVersion: string) => string;
}

export interface Announcer {
  announce(occurrence: Occurrence): Announced;
  setVisibility(profile: VisibilityProfile): void;
}

/** `randomOf` gives each concern a stream of its own. */
export function createAnnouncer(
  accountMark: string,
  visibility: VisibilityProfile,
  firstSequence: number,
  randomOf: (label: string) => Random,
): Announcer {
  const ids = randomOf('event-ids');
  const delays = randomOf('visibility');
  const requests = randomOf('requests');
  let profile = visibility;
  let sequence = firstSequence;

  const request = (): JsonObject | null => {
    const draw = requests.next();
    if (draw < 0.05) return null;
    // Changes that Stripe makes by itself, such as a renewal, have no request behind them.
    if (draw < 0.3) return { id: null, idempotency_key: null };
    return {
      id: `req_${randomText(requests, 14)}`,
      idempotency_key: draw < 0.5 ? randomText(requests, 24) : null,
    };
  };

  return {
    setVisibility(next) {
      profile = next;
    },
    announce(occurrence) {
      const { type, object, objectId, before, changedAt, now, apiVersion } = occurrence;
      const id = eventId(ids, accountMark);
      const created = Math.floor(changedAt);
      const delay = drawDelay(profile, delays);
      const requested = request();
      const render = (version: string): string => {
        const data = renderInVersion(version, occurrence.data);
        const previous =
          before !== undefined && hasPreviousAttributes(type)
            ? { previous_attributes: previousAttributes(renderInVersion(version, before), data) }
            : {};
        return JSON.stringify({
          id,
          object: 'event',
          api_version: version,
          created,
          data: { object: data, ...previous },
          livemode: false,
          pending_webhooks: 0,
          request: requested,
          type,
        });
      };
      const json = render(apiVersion);
      const event = makeEvent({
        id,
        type,
        object,
        ...(objectId === undefined ? {} : { objectId }),
        created,
        changedAt,
        visibleAt: now + (occurrence.visibleAfterSeconds ?? delay),
        sequence: sequence++,
        json,
      });
      return { event, jsonIn: (version) => (version === apiVersion ? json : render(version)) };
    },
  };
}
