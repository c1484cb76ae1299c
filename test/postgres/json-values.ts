import fc from 'fast-check';

/**
 * Texts of JSON values as jsonb accepts them, written as text because JavaScript's numbers cannot say 1e400 or
 * 9223372036854775808. With them, what each type of column has to make of it.
 */

const INTERESTING_NUMBERS = [
  '0',
  '-0',
  '5.0',
  '1.5',
  '1e3',
  '1e400',
  '-1e400',
  '1e-400',
  '1e100000',
  '1e-16000',
  '9223372036854775807',
  '9223372036854775808',
  '-9223372036854775808',
  '-9223372036854775809',
  '9223372036854775807.5',
  '9007199254740993',
  '1700000000',
  '1700000000.000001',
  '-62135596800',
  '-62135596801',
  '253402300799',
  '253402300800',
  '8640000000000',
  '8640000000001',
  '12.345678901234567890123456789',
] as const;

const INTERESTING_STRINGS = [
  '',
  ' ',
  '5',
  '12.5',
  '-0.005',
  '+1',
  '1e5',
  '1e400',
  '1.',
  '.5',
  '1_000',
  '0x10',
  'NaN',
  'Infinity',
  '12.5\n',
  ' 12.5',
  '１２',
  'true',
  'null',
  '2024-01-01',
  "'; drop table x; --",
  '$."a"',
  '9'.repeat(100),
  '9'.repeat(101),
  '9'.repeat(20_000),
  'x'.repeat(100_000),
] as const;

// jsonb has no U+0000 and no lone surrogates.
const storable = (text: string) => !/\p{Surrogate}/u.test(text) && !text.includes('\u0000');

const numberText = fc.oneof(
  fc.constantFrom(...INTERESTING_NUMBERS),
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: -500, max: 500 }))
    .map(([mantissa, exponent]) => `${mantissa}e${exponent}`),
);

const stringText = fc
  .oneof(
    fc.constantFrom(...INTERESTING_STRINGS),
    fc.string({ unit: 'binary' }).filter(storable),
    numberText.filter((text) => text.length < 60),
    fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map((value) => value.toFixed(6)),
  )
  .map((text) => JSON.stringify(text));

const scalarText = fc.oneof(numberText, stringText, fc.constantFrom('null', 'true', 'false'));

const nestedText = fc.oneof(
  fc.array(scalarText, { maxLength: 3 }).map((values) => `[${values.join(',')}]`),
  fc.dictionary(fc.string().filter(storable), scalarText, { maxKeys: 3 }).map(
    (fields) =>
      `{${Object.entries(fields)
        .map(([key, value]) => `${JSON.stringify(key)}:${value}`)
        .join(',')}}`,
  ),
  fc.integer({ min: 1, max: 500 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
);

/** Any JSON value at all, as text. */
export const jsonText: fc.Arbitrary<string> = fc.oneof({ weight: 4, arbitrary: scalarText }, nestedText);

/** The whole number that a JSON text is, or null where it is none: exact, whatever its size or notation. */
export function wholeNumber(text: string): bigint | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(text);
  if (!match) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = BigInt(whole + fraction);
  if (digits === 0n) return 0n;
  const shift = Number(exponent) - fraction.length;
  // Beyond this every column's range is left behind, and the power would only cost time.
  if (shift > 100) return sign === '-' ? -(10n ** 100n) : 10n ** 100n;
  if (shift >= 0) return BigInt(`${sign}1`) * digits * 10n ** BigInt(shift);
  if (-shift > String(digits).length) return null;
  const unit = 10n ** BigInt(-shift);
  return digits % unit === 0n ? BigInt(`${sign}1`) * (digits / unit) : null;
}
