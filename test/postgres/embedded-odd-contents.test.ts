import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/database.js';
import { createMigratedDatabase } from '../support/migrated-database.js';
import { createEmbeddedRoom, invoice, line } from './embedded-room.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createMigratedDatabase();
});
afterAll(() => database.drop());

const room = createEmbeddedRoom(() => database.pool);
const { page, rowsOf, lines } = room;
beforeEach(room.next);

/** What rows an invoice must have, of any `lines`: the last item of each id that is a string and fits. */
function expected(value: unknown): Map<string, unknown> {
  const data = typeof value === 'object' && value !== null && 'data' in value ? value.data : null;
  const items = Array.isArray(data) && !Array.isArray(value) ? data : [];
  return new Map(
    items.flatMap((item: unknown) =>
      typeof item === 'object' && item !== null && 'id' in item && typeof item.id === 'string'
        ? [[item.id, item] as const]
        : [],
    ),
  );
}

describe('odd contents', () => {
  it('never hold up a write, and every item with an id of its own has its row', async () => {
    const id = fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('il_1', 'il_2', 'il_3', '', "';--", 'ä/b%', '{{}}') },
      { weight: 1, arbitrary: fc.constantFrom(1, null, true, [], {}, ['il_1']) },
    );
    const value = fc.jsonValue({ maxDepth: 2 });
    const item = fc.oneof(
      { weight: 5, arbitrary: fc.record({ id, amount: fc.integer(), more: value }, { requiredKeys: [] }) },
      { weight: 1, arbitrary: value },
    );
    const lists = fc.oneof(
      { weight: 1, arbitrary: value },
      {
        weight: 5,
        arbitrary: fc.record(
          {
            data: fc.oneof({ weight: 6, arbitrary: fc.array(item) }, value),
            has_more: fc.oneof(fc.boolean(), value),
          },
          { requiredKeys: [] },
        ),
      },
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(lists, { minLength: 1, maxLength: 5 }), async (fields) => {
        round += 1;
        room.enter(`odd-${round}`);
        // Characters that jsonb cannot hold are replaced before any write: not what this is about.
        const clean = JSON.parse(
          JSON.stringify(fields).replaceAll(/\\u0000|\\u[dD][89a-fA-F]../g, '?'),
        ) as unknown[];
        let asOf = 100;
        for (const value of clean) {
          asOf += 10;
          const written = await page(asOf, [
            { object: 'invoice', id: 'in_1', lines: value },
            invoice('in_2', line('x')),
          ]);
          expect(written).toMatchObject({ written: 2, refused: [] });
          const rows = (await rowsOf()).filter(({ parent }) => parent === 'in_1');
          const shown = expected(value);
          const isWhole =
            typeof value === 'object' && value !== null && 'has_more' in value && value.has_more === false;
          const living = rows.filter(({ deleted }) => !deleted);
          for (const [key, state] of shown)
            expect(living.find((row) => row.id === key)?.data).toEqual(JSON.parse(JSON.stringify(state)));
          if (isWhole && 'data' in value && Array.isArray(value.data))
            expect(living.map((row) => row.id).toSorted()).toEqual([...shown.keys()].toSorted());
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of an item that is listed twice, the last one counts', async () => {
    await page(100, [invoice('in_1', line('il_1', 1), line('il_2', 5), line('il_1', 2))]);
    expect((await rowsOf()).map(({ data }) => data)).toEqual([line('il_1', 2), line('il_2', 5)]);
  });

  it('an id that no index can hold has no row, and the others have theirs', async () => {
    const long = Array.from({ length: 3_000 }, (_, place) =>
      String.fromCharCode(33 + ((place * 7919) % 90)),
    ).join('');
    expect(await page(100, [invoice('in_1', line(long), line('il_1'))])).toMatchObject({
      written: 1,
      refused: [],
    });
    expect(await lines()).toEqual(['il_1 in in_1 alive 100']);
  });
});
