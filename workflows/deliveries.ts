/**
 * Hands references on to entity children and knows how many are under way.
 *
 * One sender per entity at a time: a second batch waits for the first to be accepted, so nothing overtakes.
 * The first batch goes in a child's arguments and later ones by signal, because a signal that is sent beside
 * a start races with it.
 */

import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  startChild,
} from '@temporalio/workflow';
import type { OutcomeTally } from '../src/domain/account-state.js';
import { entityWorkflowId } from '../src/domain/ids.js';
import { type EntityBatch, type EntityDelivery, mergeBatches } from '../src/domain/routing.js';
import { entity } from './entity.js';
import { deliverSignal } from './messages.js';
import { findableBy } from './search-attributes.js';
import { type AccountSettings, DEFAULT_SETTINGS } from './settings.js';

/** The server allows 2,000 pending children of one run. */
const MOST_OPEN = 1_500;

export interface DeliveriesOptions {
  readonly account: string;
  readonly settings: AccountSettings;
  readonly apiVersion: () => string | null;
  readonly onOutcome: (tally: OutcomeTally) => void;
}

export interface Delivery extends Omit<EntityDelivery, 'events'>, EntityBatch {}

export interface Deliveries {
  hand(deliveries: readonly Delivery[]): void;
  /** Children that this run started and that have not closed, and batches that are not accepted yet. */
  inFlight(): number;
  /** How many more children may be under way. Those that were excused leave room, up to a limit. */
  room(): number;
  /** Lets the children that are open now take their time: they wait for Stripe or PostgreSQL. */
  excuseSlow(): void;
  /** Children that this run started. */
  starts(): number;
  /** Resolves once every batch was accepted by a child: what comes then cannot lose one. */
  accepted(): Promise<void>;
}

export function createDeliveries(options: DeliveriesOptions): Deliveries {
  const waiting = new Map<string, Delivery[]>();
  const open = new Set<string>();
  const excused = new Set<string>();
  let started = 0;

  /**
   * Nobody awaits it, so nothing may come out of it. What it could not hand on stays claimed in the inbox, is
   * freed after a while, and is delivered again.
   */
  async function send(workflowId: string): Promise<void> {
    const queue = waiting.get(workflowId) ?? [];
    try {
      for (let batch = queue[0]; batch !== undefined; batch = queue[0]) {
        const taken = queue.length;
        await deliver(workflowId, merge(queue));
        queue.splice(0, taken);
      }
    } catch (error) {
      if (!isCancellation(error))
        log.warn('a delivery failed; it is repeated', { workflowId, error: String(error) });
    } finally {
      waiting.delete(workflowId);
    }
  }

  async function deliver(workflowId: string, delivery: Delivery): Promise<void> {
    for (;;) {
      if (open.has(workflowId) && (await signal(workflowId, delivery))) return;
      if (await start(workflowId, delivery)) return;
      if (await signal(workflowId, delivery)) return;
    }
  }

  async function signal(workflowId: string, { events, readAfter }: Delivery): Promise<boolean> {
    try {
      await getExternalWorkflowHandle(workflowId).signal(deliverSignal, { events, readAfter });
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      open.delete(workflowId);
      excused.delete(workflowId);
      return false;
    }
  }

  async function start(workflowId: string, delivery: Delivery): Promise<boolean> {
    const { account, settings } = options;
    const { object, objectId } = delivery;
    try {
      const child = await startChild(entity, {
        workflowId,
        args: [
          {
            account,
            ...delivery,
            hydrate: settings.hydrate,
            apiVersion: options.apiVersion(),
            parking: { ...DEFAULT_SETTINGS.parking, ...settings.parking },
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        staticSummary: `${object} ${objectId} of ${account}`,
        ...findableBy(settings.searchAttributes, account, object),
      });
      started += 1;
      open.add(workflowId);
      void watch(workflowId, child.result());
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  /** A child that was ended from outside leaves its events claimed; they are freed and delivered again. */
  async function watch(workflowId: string, result: Promise<OutcomeTally>): Promise<void> {
    try {
      options.onOutcome(await result);
    } catch (error) {
      if (isCancellation(error)) return;
      log.warn('an entity did not finish; its changes are delivered again', { workflowId });
    } finally {
      open.delete(workflowId);
      excused.delete(workflowId);
    }
  }

  const inFlight = () => new Set([...open, ...waiting.keys()]).size;

  return {
    hand(deliveries) {
      for (const delivery of deliveries) {
        const workflowId = entityWorkflowId(options.account, delivery.object, delivery.objectId);
        const queue = waiting.get(workflowId);
        if (queue !== undefined) {
          queue.push(delivery);
          continue;
        }
        waiting.set(workflowId, [delivery]);
        void send(workflowId);
      }
    },
    inFlight,
    room: () => Math.min(options.settings.maxInFlight - (inFlight() - excused.size), MOST_OPEN - inFlight()),
    excuseSlow() {
      for (const workflowId of open) excused.add(workflowId);
    },
    starts: () => started,
    accepted: () => condition(() => waiting.size === 0),
  };
}

function merge(queue: readonly Delivery[]): Delivery {
  const [first] = queue;
  if (first === undefined) throw new Error('a delivery holds at least one batch');
  return { ...first, ...mergeBatches(queue) };
}

function isNotFound(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === 'ExternalWorkflowExecutionNotFound';
}
