import { escapeLiteral } from 'pg';
import type { ColumnType } from '../stripe/catalog.js';

/** PostgreSQL 18 computes generated columns when they are read; before, they are stored with the row. */
const VIRTUAL_SINCE = 180_000;

const BIGINT = '@ >= -9223372036854775808 && @ <= 9223372036854775807';
// The years 1 to 9999: what PostgreSQL and JavaScript both print and read, whatever the time zone.
const EPOCH_SECONDS = '@ >= -62135596800 && @ <= 253402300799';
// Stripe's decimals come as strings. No more digits than a value that somebody meant.
const DECIMAL = '^[-+]?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]{1,2})?$';
const LONGEST_DECIMAL = 100;

/**
 * What follows the name in the definition of a generated column: its type, its expression over `data`, and
 * whether it is virtual. `serverVersionNum` is PostgreSQL's server_version_num (180004).
 *
 * The expression never raises, whatever `data` holds: one odd object must break neither its own write (stored)
 * nor everybody's reads (virtual). A value of another type, out of range, or no whole number where one is
 * wanted, is null. Only built-in immutable functions will do: virtual columns accept no others.
 */
export function generatedColumn(field: string, type: ColumnType, serverVersionNum: number): string {
  const kind = serverVersionNum >= VIRTUAL_SINCE ? 'virtual' : 'stored';
  return `${type} generated always as (${expression(field, type)}) ${kind}`;
}

// A JSON path picks and checks the value in one pass: every further look at `data` would decompress a large
// object again (measured: 15 instead of 80 microseconds on 6 kB). `strict` keeps it from unwrapping arrays,
// and `silent` (the last argument) makes null of every error.
const picked = (field: string, condition: string) =>
  `jsonb_path_query_first(data, ${escapeLiteral(`strict $.${JSON.stringify(field)} ? (${condition})`)}, '{}', true)`;

const scalarText = (field: string) =>
  `${picked(field, '@.type() == "number" || @.type() == "string"')} #>> '{}'`;

const wholeNumber = (field: string, range: string) =>
  `${picked(field, `@.type() == "number" && ${range} && @.floor() == @`)}::bigint`;

function expression(field: string, type: ColumnType): string {
  switch (type) {
    case 'text':
      return `${picked(field, '@.type() == "string"')} #>> '{}'`;
    case 'bigint':
      return wholeNumber(field, BIGINT);
    case 'timestamptz':
      return `to_timestamp(${wholeNumber(field, EPOCH_SECONDS)}::double precision)`;
    case 'boolean':
      return `case data->${escapeLiteral(field)} when 'true'::jsonb then true when 'false'::jsonb then false end`;
    case 'numeric':
      // The length first: a regular expression over a string of 256 MB is an error of its own, and a number
      // such as 1e400 would come out as 401 digits.
      return `case when octet_length(${scalarText(field)}) <= ${LONGEST_DECIMAL}
      then (${picked(field, `@.type() == "number" || @ like_regex ${JSON.stringify(DECIMAL)}`)} #>> '{}')::numeric end`;
  }
}
