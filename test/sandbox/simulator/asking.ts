/** How the tests talk to a simulator: with the real Stripe package, and with plain HTTP where that hides too much. */
import Stripe from 'stripe';
import { onTestFinished } from 'vitest';
import {
  createSimulator,
  type JsonObject,
  type Simulator,
  type SimulatorOptions,
} from '../../../src/sandbox/simulator/index.js';

/** A simulator for one test; its events are visible at once unless the test says otherwise. */
export async function simulatorFor(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulator = await createSimulator({ visibility: { kind: 'none' }, ...options });
  onTestFinished(() => simulator.close());
  return simulator;
}

/** The real client, without retries of its own. */
export function stripeFor(simulator: Simulator, key = simulator.apiKey): Stripe {
  return new Stripe(key, {
    host: '127.0.0.1',
    port: simulator.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
  });
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: JsonObject;
}

export async function ask(simulator: Simulator, path: string, key = simulator.apiKey): Promise<Answered> {
  const response = await fetch(`${simulator.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, headers: response.headers, body: (await response.json()) as JsonObject };
}

export interface ListPage {
  readonly object: 'list';
  readonly data: readonly (JsonObject & { readonly id: string })[];
  readonly has_more: boolean;
  readonly url: string;
}

export async function askPage(simulator: Simulator, path: string): Promise<ListPage> {
  const { status, body } = await ask(simulator, path);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  return body as unknown as ListPage;
}

/** Everything behind a list, from its newest to its oldest. */
export async function walk(simulator: Simulator, path: string, limit = 100): Promise<JsonObject[]> {
  const all: JsonObject[] = [];
  const glue = path.includes('?') ? '&' : '?';
  for (let after = ''; ; ) {
    const page = await askPage(simulator, `${path}${glue}limit=${limit}${after}`);
    all.push(...page.data);
    if (!page.has_more) return all;
    after = `&starting_after=${encodeURIComponent(page.data.at(-1)?.id ?? '')}`;
  }
}

export function errorOf({ body }: Answered): JsonObject {
  return body.error as JsonObject;
}

/** `data.object` of an event of a page. */
export function objectIn(event: JsonObject | undefined): JsonObject {
  return (event?.data as JsonObject | undefined)?.object as JsonObject;
}
