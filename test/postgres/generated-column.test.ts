import fc from 'fast-check';
import type { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generatedColumn } from '../../src/postgres/generated-column.js';
import { migrate } from '../../src/postgres/migrate.js';
import { objectTables } from '../../src/postgres/object-tables.js';
import { createPool } from '../../src/postgres/pool.js';
import type { ColumnType } from '../../src/stripe/catalog.js';
import { createTestDatabase } from '../support/database.js';
import { jsonText, wholeNumber } from './json-values.js';
import { olderBinaries, startOlderServer } from './older-server.js';

const TYPES: readonly ColumnType[] = ['text', 'bigint', 'numeric', 'boolean', 'timestamptz'];
const TIME_ZONES = ['UTC', 'America/New_York', 'Asia/Kolkata', 'Pacific/Kiritimati'];
const older = olderBinaries();
if (!older) console.warn('NO POSTGRESQL BEFORE 18 ON THIS MACHINE: stored generated columns are not tested.');

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

const servers: readonly (readonly [string, 'v' | 's', () => Promise<Server>])[] = [
  [
    'PostgreSQL 18, virtual columns',
    'v',
    async () => {
      const { url, drop } = await createTestDatabase();
      return { url, stop: drop };
    },
  ],
  ...(older ? [[`${older}, stored columns`, 's', () => startOlderServer(older)] as const] : []),
];

describe.each(servers)('%s', (_name, expectedKind, start) => {
  let server: Server;
  let pool: Pool;
  let versionNum: number;

  beforeAll(async () => {
    server = await start();
    pool = createPool({ connectionString: server.url, applicationName: 'test' });
    const { rows } = await pool.query(`select current_setting('server_version_num')::integer as num`);
    versionNum = rows[0].num;
    const columns = TYPES.map((type) => `"as_${type}" ${generatedColumn('f', type, versionNum)}`);
    await pool.query(`create table every_type (n integer, data jsonb not null, ${columns.join(', ')})`);
    await migrate({ connectionString: server.url });
  });
  afterAll(async () => {
    await pool?.end();
    await server?.stop();
  });

  /** The columns of `{"f": <text>}`, as the table shows them. */
  async function read(...texts: string[]) {
    await pool.query('truncate every_type');
    await pool.query(
      `insert into every_type (n, data)
       select n, ('{"f":' || text || '}')::jsonb from unnest($1::text[]) with ordinality as t(text, n)`,
      [texts],
    );
    const { rows } = await pool.query('select * from every_type order by n');
    return rows.map(({ as_text, as_bigint, as_numeric, as_boolean, as_timestamptz }) => ({
      text: as_text,
      bigint: as_bigint,
      numeric: as_numeric,
      boolean: as_boolean,
      timestamptz: as_timestamptz,
    }));
  }

  const nothing = { text: null, bigint: null, numeric: null, boolean: null, timestamptz: null };

  test('columns are of the kind that this version of PostgreSQL does best', async () => {
    const { rows } = await pool.query(
      `select distinct attgenerated as kind from pg_attribute
       where attrelid = 'every_type'::regclass and attgenerated <> ''`,
    );
    expect(rows).toEqual([{ kind: expectedKind }]);
  });

  test('a value of the right type comes out as it went in', async () => {
    const [text, whole, second, fraction, decimal, yes, no] = await read(
      '"Größe \\"1\\""',
      '-9223372036854775808',
      '1700000000',
      '12.5',
      '"0.000000000012"',
      'true',
      'false',
    );
    expect(text).toEqual({ ...nothing, text: 'Größe "1"' });
    expect(whole).toEqual({
      ...nothing,
      bigint: '-9223372036854775808',
      numeric: '-9223372036854775808',
    });
    expect(second).toEqual({
      ...nothing,
      bigint: 1_700_000_000,
      numeric: '1700000000',
      timestamptz: new Date(1_700_000_000_000),
    });
    expect(fraction).toEqual({ ...nothing, numeric: '12.5' });
    expect(decimal).toEqual({ ...nothing, text: '0.000000000012', numeric: '0.000000000012' });
    expect(yes).toEqual({ ...nothing, boolean: true });
    expect(no).toEqual({ ...nothing, boolean: false });
  });

  test('what fits no column is null in all of them', async () => {
    for (const row of await read(
      'null',
      '{}',
      '[]',
      '[5]',
      '["x"]',
      '[true]',
      '{"f": 5}',
      '1e400',
      '-1e400',
    )) {
      expect(row).toEqual(nothing);
    }
  });

  test('a missing field, and data that is no object, are null', async () => {
    await pool.query('truncate every_type');
    await pool.query(
      `insert into every_type (data)
       values ('{}'), ('[]'), ('[{"f": 5}]'), ('"f"'), ('5'), ('true'), ('null')`,
    );
    const { rows } = await pool.query(
      'select as_text, as_bigint, as_numeric, as_boolean, as_timestamptz from every_type',
    );
    expect(new Set(rows.flatMap((row) => Object.values(row)))).toEqual(new Set([null]));
  });

  test('any JSON value whatever can be stored and read, and comes out right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(jsonText, { minLength: 1, maxLength: 40 }), async (texts) => {
        const rows = await read(...texts);
        expect(rows).toHaveLength(texts.length);
        for (const [at, text] of texts.entries()) {
          const row = rows[at];
          const value: unknown = /^["tf]/.test(text) ? JSON.parse(text) : null;
          expect(row?.text).toBe(typeof value === 'string' ? value : null);
          expect(row?.boolean).toBe(typeof value === 'boolean' ? value : null);
          const whole = wholeNumber(text);
          const fits = whole !== null && whole >= -(2n ** 63n) && whole < 2n ** 63n;
          expect(row?.bigint === null ? null : BigInt(row?.bigint)).toBe(fits ? whole : null);
          const isTime = whole !== null && whole >= -62_135_596_800n && whole <= 253_402_300_799n;
          expect(row?.timestamptz?.getTime() ?? null).toBe(isTime ? Number(whole) * 1_000 : null);
          const decimal = typeof value === 'string' ? value : text;
          const isDecimal = /^[-+]?\d+(\.\d+)?(e[-+]?\d{1,2})?$/i.test(decimal) && decimal.length <= 100;
          if (typeof value === 'string') expect(row?.numeric !== null).toBe(isDecimal);
          if (/^-?\d{1,90}(\.\d{1,9})?$/.test(text)) expect(row?.numeric).not.toBeNull();
          // Adding 0 makes 0 of JavaScript's -0, which PostgreSQL does not know.
          if (row?.numeric !== null) expect(Number(row?.numeric) + 0).toBe(Number(decimal) + 0);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('every moment that a column shows can be read in any time zone', async () => {
    await read('-62135596800', '0', '253402300799');
    for (const zone of TIME_ZONES) {
      const client = await pool.connect();
      try {
        await client.query(`set timezone = '${zone}'`);
        const { rows } = await client.query('select as_timestamptz as at from every_type order by n');
        expect(rows.map(({ at }) => at.getTime())).toEqual([-62_135_596_800_000, 0, 253_402_300_799_000]);
      } finally {
        client.release(true);
      }
    }
  });

  test('no object, however odd, breaks its own write or the reading of its table', async () => {
    const tables = objectTables();
    const oddObject = fc.constantFrom(...tables).chain((table) =>
      fc.record({
        table: fc.constant(table.name),
        text: fc
          .tuple(
            ...table.columns.map(({ field }) => jsonText.map((value) => `${JSON.stringify(field)}:${value}`)),
          )
          .map((fields) => `{${fields.join(',')}}`),
      }),
    );
    await fc.assert(
      fc.asyncProperty(oddObject, async ({ table, text }) => {
        await pool.query(
          `insert into stripe."${table}" as t (account, id, data, as_of, as_of_until, source)
           values ('a', 'x', $1, now(), now(), 'test')
           on conflict (account, id) do update set data = excluded.data`,
          [text],
        );
        const { rowCount } = await pool.query(`select * from stripe."${table}"`);
        expect(rowCount).toBe(1);
      }),
      { numRuns: 300 },
    );
  });
});
