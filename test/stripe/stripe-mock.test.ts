import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queryOf } from '../../activities/event-pages.js';
import { retrieveObject } from '../../activities/retrieve-object.js';
import { rangeQuery } from '../../src/domain/ranges.js';
import { catalogObjects, entityKeyFields, syncedObjects, tableOf } from '../../src/stripe/catalog.js';
import { createStripeClient } from '../../src/stripe/client.js';
import { pageOfList } from '../../src/stripe/embedded-lists.js';
import { listingOf, type ParentWalk } from '../../src/stripe/listings.js';
import { parentFields, walkRequest } from '../../src/stripe/walk-request.js';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import {
  obtainStripeMock,
  STRIPE_MOCK_VERSION,
  type StripeMock,
  startStripeMock,
} from '../support/stripe-mock.js';

const obtained = await obtainStripeMock();
if ('problem' in obtained) {
  process.stderr.write(
    `\n*** NOT CHECKED: whether Stripe takes the requests of the catalog. stripe-mock ${STRIPE_MOCK_VERSION} is not to be had: ${obtained.problem}.\n\n`,
  );
}

/** A request that the product may send, and what the answer has to be. */
interface Request {
  readonly object: string;
  readonly path: string;
  readonly answer: 'list' | 'object';
}

const AFTER = 'xyz_123';
const PARENT_ID = 'parent_123';

/** Each page of a type's lists: the first, a later one, and those of a range of `created`. */
function listRequests(object: string): Request[] {
  const listing = listingOf(object);
  if (listing.how === 'singleton') return [{ object, path: listing.path, answer: 'object' }];
  if (listing.how !== 'list' && listing.how !== 'parents') return [];
  const walked = listing.walks.flatMap((walk) => walkRequests(object, walk));
  if (listing.how === 'parents') return walked;
  const ranges = [
    { from: null, to: null },
    ...(listing.createdFilter
      ? [
          { from: 1_700_000_000, to: null },
          { from: 1_700_000_000, to: 1_800_000_000 },
        ]
      : []),
  ];
  const listed = listing.passes.flatMap((pass) =>
    ranges.flatMap((range) =>
      (listing.paged ? [null, AFTER] : [null]).map((startingAfter): Request => {
        const position = { range: 1, pass: 0, newest: null, reached: null, trail: [], pages: 0, rows: 0 };
        const query = rangeQuery({ ...position, ...range, startingAfter }, pass);
        const search = new URLSearchParams({ ...(listing.paged ? { limit: '100' } : {}), ...query });
        return {
          object,
          path: search.size === 0 ? listing.path : `${listing.path}?${search}`,
          answer: 'list',
        };
      }),
    ),
  );
  return [...listed, ...walked];
}

function walkRequests(object: string, walk: ParentWalk): Request[] {
  const fields = Object.fromEntries(parentFields(walk).map((field) => [field, `${field}_123`]));
  return (walk.single || !walk.paged ? [null] : [null, AFTER]).map((startingAfter) => ({
    object,
    path: walkRequest(walk, { id: PARENT_ID, fields }, startingAfter) ?? '',
    answer: walk.single ? 'object' : 'list',
  }));
}

/** Lists that objects hold without being asked to, in this API version or an older one, at the URLs they come with. */
const EMBEDDED: readonly (readonly [string, string])[] = [
  ['account', '/v1/accounts/acct_123/external_accounts'],
  ['application_fee', '/v1/application_fees/fee_123/refunds'],
  ['charge', '/v1/charges/ch_123/refunds'],
  ['credit_note', '/v1/credit_notes/cn_123/lines'],
  ['customer', '/v1/customers/cus_123/sources'],
  ['customer', '/v1/customers/cus_123/subscriptions'],
  ['customer', '/v1/customers/cus_123/tax_ids'],
  ['file', '/v1/file_links?file=file_123'],
  ['financial_connections.session', '/v1/financial_connections/accounts'],
  ['invoice', '/v1/invoices/in_123/lines'],
  ['radar.value_list', '/v1/radar/value_list_items?value_list=rsl_123'],
  ['subscription', '/v1/subscription_items?subscription=sub_123'],
  ['transfer', '/v1/transfers/tr_123/reversals'],
];

/** One path for several kinds of objects; the mock answers with one of them, whatever is asked for. */
const MIXED = new Set(['account', 'bank_account', 'card', 'source']);

/** Previews that neither of the mock's documents knows, so that nobody checks their requests here. */
const UNKNOWN_TO_THE_MOCK = ['apps.install', 'three_d_secure.authentication'];

describe.skipIf('problem' in obtained)(`Stripe, as stripe-mock ${STRIPE_MOCK_VERSION} speaks for it,`, () => {
  let mock: StripeMock;
  /** With the document of previews, for what the other one lacks. */
  let previews: StripeMock;
  let database: TestDatabase;
  const client = () => createStripeClient({ apiKey: 'sk_test_123', baseUrl: mock.url });
  beforeAll(async () => {
    if (!('file' in obtained)) return;
    database = await createMigratedDatabase();
    [mock, previews] = await Promise.all([
      startStripeMock(obtained.file),
      startStripeMock(obtained.file, ['-beta']),
    ]);
  });
  afterAll(async () => {
    await Promise.all([mock.close(), previews.close()]);
    await database.drop();
  });

  interface Verdict {
    readonly problem: string | null;
    /** Whether no document has the path, so that nothing can be said. */
    readonly unknown: boolean;
  }

  async function ask(request: Request): Promise<Verdict> {
    const verdict = await askOf(mock, request);
    return verdict.unknown ? askOf(previews, request) : verdict;
  }

  async function askOf({ url }: StripeMock, { object, path, answer }: Request): Promise<Verdict> {
    const response = await fetch(`${url}${path}`, { headers: { authorization: 'Bearer sk_test_123' } });
    const text = await response.text();
    if (response.status === 404 && text.includes('Unrecognized request URL'))
      return { problem: null, unknown: true };
    if (response.status !== 200)
      return { problem: `${object}: ${path} answers ${response.status}: ${text}`, unknown: false };
    const said = String((JSON.parse(text) as { object?: unknown }).object);
    const isRight =
      answer === 'list' ? said === 'list' : said === object || (MIXED.has(said) && MIXED.has(object));
    return { problem: isRight ? null : `${object}: ${path} answers a ${said}`, unknown: false };
  }

  it('refuses what it should: unknown paths and parameters, and requests that lack one', async () => {
    const wrong = (path: string) => ask({ object: 'customer', path, answer: 'list' });
    expect(await wrong('/v1/unicorns')).toMatchObject({ unknown: true });
    expect((await wrong('/v1/customers?colour=red')).problem).toMatch(/answers 400/);
    expect((await wrong('/v1/customers?limit=many')).problem).toMatch(/answers 400/);
    expect((await wrong('/v1/subscription_items?limit=100')).problem).toMatch(/answers 400/);
    expect((await wrong('/v1/balance')).problem).toMatch(/answers a balance/);
  });

  it('takes every list, walk and singleton of a backfill, an audit and a resync', async () => {
    const requests = syncedObjects().flatMap(({ object }) => listRequests(object));
    expect(requests.length).toBeGreaterThan(250);
    const asked = await Promise.all(requests.map(async (request) => ({ request, ...(await ask(request)) })));
    expect(asked.flatMap(({ problem }) => problem ?? [])).toEqual([]);
    const unknown = [...new Set(asked.filter((one) => one.unknown).map(({ request }) => request.object))];
    process.stderr.write(
      `\n*** NOT CHECKED: requests for ${unknown.join(' and ')}, which are in no document.\n\n`,
    );
    expect(unknown.toSorted()).toEqual(UNKNOWN_TO_THE_MOCK);
  });

  it('takes every read of a single object, by each of its paths', async () => {
    const problems: string[] = [];
    const unknown = new Set<string>();
    let reads = 0;
    for (const { object, retrievePath, otherRetrievePaths, singleton } of syncedObjects()) {
      if (retrievePath === null) continue;
      for (const template of singleton ? [retrievePath] : [retrievePath, ...otherRetrievePaths]) {
        if (template.includes('/bank_accounts/')) continue;
        const names = [...template.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
        const state: Record<string, string> = Object.fromEntries(names.map((name) => [name, `${name}_123`]));
        const account = `legal-${reads}`;
        const row = { ...state, id: `${object.replace('.', '_')}_123`, object };
        const fields = row as Record<string, string>;
        const objectId = entityKeyFields(object)
          .map((field) => fields[field] ?? `${field}_123`)
          .join(':');
        await database.pool.query(
          `insert into stripe."${tableOf(object)}" (account, id, data, as_of, as_of_until, source)
           values ($1, $2, $3, now(), now(), 'read:earlier')`,
          [account, objectId, JSON.stringify(row)],
        );
        const stripe = client();
        const get = async (path: string) => {
          reads += 1;
          const { problem, unknown: isUnknown } = await ask({ object, path, answer: 'object' });
          if (isUnknown) unknown.add(object);
          else if (problem !== null && !isParent(path, template)) problems.push(problem);
          return stripe.get(path);
        };
        const deps = {
          pool: database.pool,
          stripe: () => ({ ...stripe, get }),
          log: { info: () => undefined, warn: () => undefined, error: () => undefined },
          stopping: new AbortController().signal,
        };
        const signal = new AbortController().signal;
        // What the fixture says of itself is the mock's invention: only that it answers counts.
        await retrieveObject(deps, { account, object, objectId }, { apiVersion: null, signal }).catch(
          (error: Error) => {
            if (!/is not that object|does not have this part/.test(error.message))
              problems.push(`${object}: ${error.message}`);
          },
        );
        stripe.close();
      }
    }
    expect(problems).toEqual([]);
    expect(reads).toBeGreaterThan(80);
    expect([...unknown].toSorted()).toEqual(UNKNOWN_TO_THE_MOCK);
  });

  it('takes the pages of every list inside of an object', async () => {
    const named = new Set(EMBEDDED.map(([object]) => object));
    const embedding = catalogObjects().filter(({ embeddedLists }) =>
      embeddedLists.some((list) => list.alwaysPresent),
    );
    expect(embedding.map(({ object }) => object).filter((object) => !named.has(object))).toEqual([]);
    const asked = await Promise.all(
      EMBEDDED.flatMap(([object, url]) =>
        [null, AFTER].map((after) => ask({ object, path: pageOfList(url, after), answer: 'list' })),
      ),
    );
    expect(asked.flatMap(({ problem }) => problem ?? [])).toEqual([]);
    expect(asked.filter(({ unknown }) => unknown)).toEqual([]);
  });

  it('takes every request for events', async () => {
    const window = {
      kind: 'window',
      from: 1_700_000_000,
      to: 1_800_000_000,
      below: 'evt_123',
      limit: 100,
    } as const;
    const queries = [
      'limit=1',
      queryOf({ kind: 'after', id: 'evt_123' }),
      queryOf(window),
      queryOf({ ...window, from: null, to: null, below: null, limit: 1 }),
    ];
    for (const query of queries) {
      expect(await ask({ object: 'event', path: `/v1/events?${query}`, answer: 'list' })).toEqual({
        problem: null,
        unknown: false,
      });
    }
  });
});

/** Whether the path is that of the object above, which a 404 asks for. */
function isParent(path: string, template: string): boolean {
  return path.split('/').length < template.split('/').length;
}
