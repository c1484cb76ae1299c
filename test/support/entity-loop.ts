/** What an entity's workflow does, without Temporal: apply, and read where the apply asks for it. */
import type { ApplyInput } from '../../activities/apply-changes.js';
import { addOutcomes, type OutcomeTally } from '../../src/domain/account-state.js';
import type { Simulator } from '../../src/sandbox/simulator/index.js';
import { entityKeyFields } from '../../src/stripe/catalog.js';
import type { ActivityRoom } from './activity-room.js';

/** An event as Stripe lists it. */
export interface ListedEvent {
  readonly id: string;
  readonly type: string;
  readonly created: number;
  readonly data: { readonly object: Readonly<Record<string, unknown>> };
}

/** All events that Stripe lists, oldest first. */
export async function listedEvents(simulator: Simulator): Promise<ListedEvent[]> {
  const events: ListedEvent[] = [];
  for (;;) {
    const before = events.at(-1);
    const path = `/v1/events?limit=100${before === undefined ? '' : `&starting_after=${before.id}`}`;
    const response = await fetch(`${simulator.url}${path}`, {
      headers: { authorization: `Bearer ${simulator.apiKey}` },
    });
    const page = (await response.json()) as { data: ListedEvent[]; has_more: boolean };
    events.push(...page.data);
    if (!page.has_more) return events.reverse();
  }
}

/** The entity that an event belongs to, as the inbox routes it; null where it has no key. */
export function entityOf({ data }: ListedEvent): { object: string; objectId: string } | null {
  const object = String(data.object.object);
  const parts = entityKeyFields(object).map((field) => data.object[field]);
  if (parts.length === 0 || parts.some((part) => typeof part !== 'string')) return null;
  return { object, objectId: parts.join(':') };
}

/** Delivers changes of one entity, and returns what became of them by this delivery. */
export async function deliver(
  room: ActivityRoom,
  entity: { readonly object: string; readonly objectId: string },
  ids: readonly string[],
  over: Partial<Pick<ApplyInput, 'hydrate' | 'apiVersion'>> = {},
): Promise<OutcomeTally> {
  const { object, objectId } = entity;
  const key = { account: room.account, object, objectId };
  const { apiVersion = room.simulator.apiVersion, hydrate = 'auto' } = over;
  const { tally, fetch: asks } = await room.run('applyChanges', { ...key, ids, hydrate, apiVersion });
  if (asks === null) return tally;
  return addOutcomes(tally, await room.run('settleEntity', { ...key, ...asks, apiVersion }));
}
