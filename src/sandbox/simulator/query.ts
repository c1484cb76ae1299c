/** Stripe's form encoding: `created[gt]=1&types[]=a&types[1]=b&expand[]=data.customer`. */
import { ApiError } from './errors.js';

export type QueryValue = string | QueryValue[] | Query;
export interface Query {
  [key: string]: QueryValue;
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new ApiError(400, `Invalid query string: '${text}' is not valid percent encoding.`);
  }
};

export function parseQuery(text: string): Query {
  const query: Query = Object.create(null) as Query;
  if (text === '') return query;
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1));
    const bracket = name.indexOf('[');
    if (bracket < 0) query[name] = value;
    else place(query, [name.slice(0, bracket), ...name.slice(bracket + 1, -1).split('][')], value);
  }
  return query;
}

function place(query: Query, [key = '', ...rest]: string[], value: string): void {
  const [next] = rest;
  if (next === undefined) {
    query[key] = value;
  } else if (next === '' || /^\d+$/.test(next)) {
    const list = query[key];
    if (Array.isArray(list)) list.push(value);
    else query[key] = [value];
  } else {
    const inner = query[key];
    const nested: Query =
      typeof inner === 'object' && !Array.isArray(inner) ? inner : (Object.create(null) as Query);
    query[key] = nested;
    place(nested, rest, value);
  }
}

/** A whole number out of a parameter, or Stripe's refusal. */
export function integerParameter(value: QueryValue, param: string): number {
  if (typeof value === 'string' && /^-?\d{1,15}$/.test(value)) return Number(value);
  throw new ApiError(400, `Invalid integer: ${typeof value === 'string' ? value : JSON.stringify(value)}`, {
    code: 'parameter_invalid_integer',
    param,
  });
}

export interface Range {
  /** Both inclusive. */
  readonly from?: number;
  readonly to?: number;
}

/** `created=5`, or `created[gte]=5&created[lt]=9`, as one range of whole numbers. */
export function rangeParameter(value: QueryValue, param: string): Range {
  if (typeof value === 'string') {
    const exact = integerParameter(value, param);
    return { from: exact, to: exact };
  }
  if (Array.isArray(value)) throw new ApiError(400, `Invalid hash: ${param} is a list.`, { param });
  let from: number | undefined;
  let to: number | undefined;
  for (const [bound, text] of Object.entries(value)) {
    const number = integerParameter(text, `${param}[${bound}]`);
    if (bound === 'gt') from = Math.max(from ?? -Infinity, number + 1);
    else if (bound === 'gte') from = Math.max(from ?? -Infinity, number);
    else if (bound === 'lt') to = Math.min(to ?? Infinity, number - 1);
    else if (bound === 'lte') to = Math.min(to ?? Infinity, number);
    else throw unknownParameter(`${param}[${bound}]`);
  }
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

export function unknownParameter(param: string): ApiError {
  return new ApiError(400, `Received unknown parameter: ${param}`, { code: 'parameter_unknown', param });
}

export function missingParameter(param: string): ApiError {
  return new ApiError(400, `Missing required param: ${param}.`, { code: 'parameter_missing', param });
}

/** `limit`: 1 to 100, 10 by default. */
export function limitParameter(value: QueryValue | undefined): number {
  if (value === undefined) return 10;
  const limit = integerParameter(value, 'limit');
  if (limit >= 1 && limit <= 100) return limit;
  throw new ApiError(400, `Invalid limit: it must be between 1 and 100, and is ${limit}.`, {
    code: 'parameter_invalid_integer',
    param: 'limit',
  });
}
