// Writes src/stripe/data/columns.json: what the rows of each object are keyed by, and the typed columns of its
// table. Read from the installed stripe package's declarations, whose layout is
// regular (one interface per object at the top level of a file, one member a line). Anything that this
// reader does not understand ends it with an error: a column of a wrong type must not slip in.
// Run: node scripts/renew-columns.mjs (see docs/catalog.md); with --check it writes nothing, and ends with 1
// where the file is not what the installed package gives.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const stripeRoot = here('../node_modules/stripe/');
const dataFolder = here('../src/stripe/data/');
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

const catalog = readJson(`${dataFolder}catalog.json`);
const { apiVersion } = readJson(`${dataFolder}events.json`);
const { version: sdkVersion } = readJson(`${stripeRoot}package.json`);

const FIXED_COLUMNS = new Set(['account', 'id', 'data', 'as_of', 'as_of_until', 'deleted', 'source']);
const SKIPPED_FIELDS = new Set(['id', 'object', 'metadata']);

// Keys other than the object's id. The id of a capability is its name (`card_payments`), the same for every connected
// account. What an account has one of is kept under the object's own name, and what a customer has one of under the
// customer's id.
const KEY_FIELDS = {
  balance: ['object'],
  balance_settings: ['object'],
  capability: ['account', 'id'],
  cash_balance: ['customer'],
  'entitlements.active_entitlement_summary': ['customer'],
  'tax.settings': ['object'],
};

// Counted up with every change of the object: no moment in time, although the catalog lists it as one.
const NOT_A_TIMESTAMP = new Set(['version']);

const FRACTIONAL_NAME = /(^|_)(percent|percentage|rate|decimal|ratio|score|value|average)(_|$)/;
const FRACTIONAL_DOC = /\bpercent(age)?\b|\bdecimal (between|places)\b|\bfraction(al)?\b/i;
const INTEGER_NAME =
  /(^|_)(amount|subtotal|total|balance|fee|net|cost|quantity|count|size|year|month|months|days|redemptions|redeemed|sequence|priority|version|webhooks)(_|$)/;

/** Every `interface` and `type` of the package, by file and by qualified name (`Invoice.BillingReason`). */
function readDeclarations() {
  const interfaces = [];
  const aliases = new Map();
  const names = new Set();
  const folder = `${stripeRoot}esm/resources/`;
  const paths = readdirSync(folder, { recursive: true }).filter(
    (path) => path.endsWith('.d.ts') && !/^V2[/\\]/.test(path),
  );
  for (const path of [...paths, '../shared.d.ts', '../lib.d.ts']) {
    const file = path.replaceAll('\\', '/');
    const text = readFileSync(folder + file, 'utf8');
    for (const [, name, body] of text.matchAll(/^export interface (\w+) \{\n([\s\S]*?)^\}/gm)) {
      interfaces.push({ file, name, body });
      names.add(name);
    }
    for (const [, name] of text.matchAll(/^export (?:interface|declare class) (\w+)/gm)) names.add(name);
    for (const [, name, type] of text.matchAll(/^export type (\w+)(?:<.*>)? = (.*);$/gm))
      aliases.set(name, type);
    for (const [, scope, body] of text.matchAll(/^export declare namespace (\w+) \{\n([\s\S]*?)^\}/gm)) {
      for (const [, name, type] of body.matchAll(/^ {4}type (\w+) = (.*);$/gm))
        aliases.set(`${file}:${scope}.${name}`, type);
      for (const [, name] of body.matchAll(/^ {4}interface (\w+)/gm)) names.add(`${file}:${scope}.${name}`);
    }
  }
  return { interfaces, aliases, names };
}

const { interfaces, aliases, names } = readDeclarations();

/** Which kinds of JSON value a type expression allows: string, number, boolean, decimal, reference, other. */
function kindsOf(type, file) {
  const kinds = new Set();
  if (/[<{[(]/.test(type))
    return type.startsWith('string | ') ? kinds.add('string').add('other') : kinds.add('other');
  for (const part of type.split(' | ')) {
    if (part === 'null' || part === 'undefined' || part === 'void') continue;
    if (part === 'string' || part === 'OtherString' || /^'.*'$/.test(part)) kinds.add('string');
    else if (part === 'number' || part === 'boolean') kinds.add(part);
    else if (part === 'true' || part === 'false') kinds.add('boolean');
    else if (part === 'Decimal') kinds.add('decimal');
    else if (names.has(`${file}:${part}`)) kinds.add('other');
    else if (aliases.has(`${file}:${part}`)) {
      for (const kind of kindsOf(aliases.get(`${file}:${part}`), file)) kinds.add(kind);
    } else if (names.has(part.split('.').at(-1).replace(/^_/, ''))) kinds.add('reference');
    else if (aliases.has(part)) kinds.add('reference');
    else throw new Error(`${file}: cannot tell what kind of value the type "${part}" is`);
  }
  return kinds;
}

/** Whole numbers become bigint only on evidence: a fraction in a bigint column would read as null. */
function numberType(field, doc, timestampFields) {
  if (/\bUnix\b|\bepoch\b/i.test(doc) || /_(at|date)$/.test(field)) return 'timestamptz';
  if (timestampFields.includes(field) && !NOT_A_TIMESTAMP.has(field)) return 'timestamptz';
  const prose = doc.replace(/\]\([^)]*\)/g, ']');
  if (FRACTIONAL_NAME.test(field) || !INTEGER_NAME.test(field)) return 'numeric';
  return FRACTIONAL_DOC.test(prose) && !/\binteger\b/i.test(prose) && !/amount/.test(field)
    ? 'numeric'
    : 'bigint';
}

function columnType(field, kinds, doc, timestampFields) {
  if (kinds.has('decimal')) return 'numeric';
  if (kinds.has('string')) return field.endsWith('_decimal') ? 'numeric' : 'text';
  if (kinds.has('number')) return numberType(field, doc, timestampFields);
  return kinds.has('boolean') ? 'boolean' : undefined;
}

function columnName(field, kinds, doc) {
  if (!FIXED_COLUMNS.has(field)) return field;
  const refersToAnObject = kinds.has('reference') || field === 'account' || /\bID\b/.test(doc);
  return refersToAnObject ? `${field}_id` : `${field}_value`;
}

function columnsOf({ body, file }, timestampFields) {
  const columns = [];
  const member = /(?:^ {4}\/\*\*\n((?: {5}\*.*\n)*?) {5}\*\/\n)?^ {4}(\w+)\??: (.*)$/gm;
  for (const [, comment = '', field, rest] of body.matchAll(member)) {
    if (SKIPPED_FIELDS.has(field)) continue;
    const doc = comment.replace(/^ *\* ?/gm, ' ').trim();
    const kinds = kindsOf(rest.replace(/;$/, ''), file);
    const type = columnType(field, kinds, doc, timestampFields);
    if (type) columns.push({ name: columnName(field, kinds, doc), field, type });
  }
  return columns;
}

function describe(entry) {
  const timestampFields = entry.timestampFields ?? [];
  const found = interfaces.filter(
    ({ name, body }) => body.includes(`\n    object: '${entry.object}';`) && !name.startsWith('Deleted'),
  );
  if (found.length > 1) throw new Error(`${entry.object}: more than one interface describes it`);
  const [declared] = found;
  if (!declared) {
    const columns = timestampFields.map((field) => ({ name: field, field, type: 'timestamptz' }));
    return { from: 'catalog.json', keyFields: keyFieldsOf(entry.object, null), columns };
  }
  const columns = columnsOf(declared, timestampFields);
  const repeated = columns.filter(({ name }, at) => columns.findIndex((other) => other.name === name) !== at);
  if (repeated.length > 0) throw new Error(`${entry.object}: two columns named ${repeated[0].name}`);
  const keyFields = keyFieldsOf(entry.object, declared.body);
  return { from: `stripe/esm/resources/${declared.file}`, keyFields, columns };
}

/** The fields that identify an object; none where nothing does. They are strings in every object, or there is no row. */
function keyFieldsOf(object, body) {
  const fields = KEY_FIELDS[object];
  if (fields === undefined) return body === null || /^ {4}id\??: /m.test(body) ? ['id'] : [];
  const lacking = fields.find((field) => body !== null && !new RegExp(`^ {4}${field}\\??: `, 'm').test(body));
  if (lacking !== undefined)
    throw new Error(`${object}: the package declares no field ${lacking} to key it by`);
  return fields;
}

const objects = catalog.map((entry) => [entry.object, describe(entry)]);

// One column a line, so that a renewal reads as a list of fields that came or went.
const lines = objects.map(([object, { columns, ...rest }]) => {
  const head = JSON.stringify(rest).slice(0, -1);
  const body = columns.map((column) => `\n      ${JSON.stringify(column)}`).join(',');
  return `    ${JSON.stringify(object)}: ${head},"columns":[${body}]}`;
});
const text = `{\n  "sdkVersion": "${sdkVersion}",\n  "apiVersion": "${apiVersion}",\n  "objects": {\n${lines.join(',\n')}\n  }\n}\n`;
const total = objects.reduce((sum, [, { columns }]) => sum + columns.length, 0);
if (process.argv.includes('--check')) {
  if (readFileSync(`${dataFolder}columns.json`, 'utf8') !== text) {
    console.error(`columns.json is not what stripe ${sdkVersion} gives. Run: node scripts/renew-columns.mjs`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(`${dataFolder}columns.json`, text);
  console.log(`columns.json: ${objects.length} objects, ${total} columns, stripe ${sdkVersion}`);
}
