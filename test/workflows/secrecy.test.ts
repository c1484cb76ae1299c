import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { historiesOf, readable } from '../support/histories.js';
import { createSync, eventually, type Sync } from '../support/sync.js';

/** What a customer wrote or is called, and no identifier: it must stay between Stripe and PostgreSQL. */
const SECRET_FIELDS = [
  'email',
  'name',
  'phone',
  'description',
  'receipt_email',
  'customer_email',
  'customer_name',
  'hosted_invoice_url',
  'client_secret',
];

let sync: Sync;
let texts: { readonly place: string; readonly text: string }[];
let secrets: string[];

beforeAll(async () => {
  sync = await createSync({ seed: 21 });
  sync.simulator.createMany('customer', 120);
  sync.simulator.startTraffic({ changesPerSecond: 5 });
  sync.simulator.addFault({ kind: 'server_error', probability: 0.05 });
  sync.simulator.addFault({ kind: 'not_json', probability: 0.05 });
  sync.simulator.addFault({ kind: 'event_null_object', probability: 0.1 });
  await sync.work();
  await sync.start();
  await sleep(15_000);
  sync.simulator.stopTraffic();
  sync.simulator.setFaults({});
  sync.simulator.revokeKey();
  await eventually(async () => ((await sync.status()).trouble === null ? 'no trouble is told' : null), 90);
  sync.simulator.restoreKey();
  await sync.rested(Math.floor(sync.simulator.now()) - 15);
  const histories = await historiesOf(sync.client, sync.account);
  texts = [
    ...histories.map(({ workflowId, history }) => ({ place: workflowId, text: readable(history) })),
    { place: 'the status', text: JSON.stringify(await sync.status()) },
    { place: 'the log', text: sync.logged.join('\n') },
  ];
  secrets = secretsOf(sync);
}, 180_000);
afterAll(() => sync.close());

function secretsOf({ simulator }: Sync): string[] {
  const found = new Set<string>([simulator.apiKey]);
  for (const objects of simulator.truth().values()) {
    for (const { data } of objects.values()) {
      for (const field of SECRET_FIELDS) {
        const value = data[field];
        if (typeof value === 'string' && value.length > 6) found.add(value);
      }
    }
  }
  return [...found];
}

describe('what Temporal and the log get to know', () => {
  it('was looked at: all kinds of workflows, and hundreds of secrets', () => {
    expect(texts.length).toBeGreaterThan(30);
    expect(secrets.length).toBeGreaterThan(100);
    expect(texts.some(({ place }) => place.includes('/backfill/'))).toBe(true);
    expect(texts.some(({ place }) => place.includes('/customer/'))).toBe(true);
    expect(sync.logged.length).toBeGreaterThan(0);
  });

  it('would be found in a text that holds one', () => {
    expect(secrets.some((secret) => `a line with ${secrets[5]} in it`.includes(secret))).toBe(true);
  });

  it('is no payload, no customer data and no key', () => {
    const leaks = texts.flatMap(({ place, text }) =>
      secrets.filter((secret) => text.includes(secret)).map((secret) => `${place}: ${secret.slice(0, 4)}…`),
    );
    expect(leaks).toEqual([]);
    const payloads = texts.filter(({ text }) =>
      /"data":\s*\{\s*"object"|"livemode"|sk_(test|live)_/.test(text),
    );
    expect(payloads.map(({ place }) => place)).toEqual([]);
  });
});
