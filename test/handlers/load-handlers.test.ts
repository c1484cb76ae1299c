import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/domain/failures.js';
import { loadHandlers } from '../../src/handlers/load-handlers.js';

const folder = mkdtempSync(join(tmpdir(), 'stripe-sync-handlers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

/** Writes a file of its own for each call, since modules are loaded once. */
function write(name: string, source: string): string {
  files += 1;
  const file = join(`case-${files}`, name);
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), source);
  return file;
}

async function refusal(file: string): Promise<UserError> {
  const error = await loadHandlers(file, folder).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  const { message, exitCode } = error as UserError;
  expect(message).toMatch(/^[^\n]+$/);
  expect(exitCode).toBe(1);
  return error as UserError;
}

describe('a file of handlers', () => {
  it.each([
    {
      title: 'TypeScript',
      name: 'handlers.ts',
      source: `import { defineHandlers, type HandlerContext } from 'durable-stripe-sync';
        enum Kind { Paid = 'paid' }
        const paid = async ({ tx }: HandlerContext<'invoice.paid'>): Promise<Kind> => { await tx.query('select 1'); return Kind.Paid; };
        export default defineHandlers({ 'invoice.paid': paid });`,
    },
    {
      title: 'TypeScript with a top-level await',
      name: 'handlers.mts',
      source: `const type: string = await Promise.resolve('invoice.paid');
        export default { [type]: () => {} };`,
    },
    {
      title: 'JavaScript modules without a package.json',
      name: 'handlers.js',
      source: `import { defineHandlers } from 'durable-stripe-sync';
        export default defineHandlers({ 'invoice.paid': () => {} });`,
    },
    {
      title: 'a plain object',
      name: 'handlers.mjs',
      source: `export default { 'invoice.paid': async () => {} };`,
    },
    {
      title: 'CommonJS',
      name: 'handlers.cjs',
      source: `const { defineHandlers } = require('durable-stripe-sync');
        module.exports = defineHandlers({ 'invoice.paid': () => {} });`,
    },
    {
      title: 'CommonJS that TypeScript compiled',
      name: 'handlers.js',
      source: `Object.defineProperty(exports, '__esModule', { value: true });
        exports.default = { 'invoice.paid': () => {} };`,
    },
  ])('may be $title', async ({ name, source }) => {
    const handlers = await loadHandlers(write(name, source), folder);
    expect(Object.keys(handlers)).toEqual(['invoice.paid']);
    expect(handlers['invoice.paid']).toBeTypeOf('function');
  });

  it('may consist of several files, and use packages', async () => {
    const file = write(
      'handlers.ts',
      `import { book } from './book.js';
       import { join } from 'node:path';
       export default { 'invoice.paid': book, 'charge.refunded': () => join('a', 'b') };`,
    );
    writeFileSync(
      join(folder, dirname(file), 'book.ts'),
      `import own from 'only-esm';
       export const book = (): string => own satisfies string;`,
    );
    const own = join(folder, dirname(file), 'node_modules', 'only-esm');
    mkdirSync(own, { recursive: true });
    writeFileSync(join(own, 'package.json'), '{"name":"only-esm","type":"module","exports":"./index.js"}');
    writeFileSync(join(own, 'index.js'), `export default await Promise.resolve('esm');`);
    const handlers = (await loadHandlers(file, folder)) as Record<string, () => unknown>;
    expect(handlers['invoice.paid']?.()).toBe('esm');
  });

  it('may handle all types with *', async () => {
    const file = write('handlers.ts', `export default { '*': () => {} };`);
    expect(Object.keys(await loadHandlers(file, folder))).toEqual(['*']);
  });

  it('may be given with its whole path', async () => {
    const file = write('handlers.ts', `export default { 'invoice.paid': () => {} };`);
    expect(await loadHandlers(join(folder, file), '/')).toHaveProperty(['invoice.paid']);
  });

  it('keeps its own lines in the stack of what it throws', async () => {
    const file = write(
      'handlers.ts',
      `interface Unseen {\n  readonly a: string;\n}\n\nexport default {\n  'invoice.paid': (_: Unseen) => {\n    throw new Error('x');\n  },\n};`,
    );
    const handlers = (await loadHandlers(file, folder)) as Record<string, (a: unknown) => void>;
    expect(() => handlers['invoice.paid']?.({})).toThrow(
      expect.objectContaining({ stack: expect.stringMatching(/handlers\.ts:7:\d+/) }),
    );
  });
});

describe('a file that cannot be used is refused in one line:', () => {
  it.each([
    {
      title: 'a misspelt event type',
      name: 'handlers.ts',
      source: `export default { 'invoice.payed': () => {} };`,
      says: /handlers\.ts cannot be used: Stripe has no event type "invoice\.payed" \(did you mean invoice\.paid/,
    },
    {
      title: 'an event type that is like no other',
      name: 'handlers.ts',
      source: `export default { zzzzzzzzzzzzzzz: () => {} };`,
      says: /Stripe has no event type "zzzzzzzzzzzzzzz"\.$/,
    },
    {
      title: 'an event type whose handler would never run',
      name: 'handlers.ts',
      source: `export default { 'invoice.upcoming': () => {} };`,
      says: /"invoice\.upcoming" change no row, so a handler for them would never run/,
    },
    {
      title: 'a handler that is no function',
      name: 'handlers.ts',
      source: `export default { 'invoice.paid': 'book', 'charge.refunded': undefined };`,
      says: /the handler for "invoice\.paid" is no function; the handler for "charge\.refunded" is no function\.$/,
    },
    {
      title: 'no default export',
      name: 'handlers.ts',
      source: `export const handlers = { 'invoice.paid': () => {} };`,
      says: /has no default export: write "export default defineHandlers/,
    },
    {
      title: 'CommonJS without an export',
      name: 'handlers.cjs',
      source: `exports.handlers = { 'invoice.paid': () => {} };`,
      says: /Stripe has no event type "handlers"|has no default export/,
    },
    {
      title: 'an empty file',
      name: 'handlers.ts',
      source: '',
      says: /has no default export|holds no handler/,
    },
    {
      title: 'a list',
      name: 'handlers.ts',
      source: 'export default [() => {}];',
      says: /no object of handlers/,
    },
    {
      title: 'a function',
      name: 'handlers.ts',
      source: 'export default () => {};',
      says: /no object of handlers/,
    },
    { title: 'null', name: 'handlers.ts', source: 'export default null;', says: /no object of handlers/ },
    { title: 'no handler', name: 'handlers.ts', source: 'export default {};', says: /holds no handler/ },
    {
      title: 'a slip of the pen',
      name: 'handlers.ts',
      source: `export default {\n  'invoice.paid': (() => {,\n};`,
      says: /handlers\.ts cannot be loaded: .*ParseError: Unexpected token \(.*handlers\.ts:2:\d+\)$/,
    },
    {
      title: 'a package that is not there',
      name: 'handlers.ts',
      source: `import 'not-there-at-all';\nexport default {};`,
      says: /cannot be loaded: Error: Cannot find (module|package) 'not-there-at-all'/,
    },
    {
      title: 'code that throws',
      name: 'handlers.ts',
      source: `throw new RangeError('no plan is set\\nsecond line');`,
      says: /cannot be loaded: RangeError: no plan is set$/,
    },
    {
      title: 'code that throws something else',
      name: 'handlers.ts',
      source: `throw 'soft';`,
      says: /cannot be loaded: it threw soft$/,
    },
    {
      title: 'another kind of file',
      name: 'handlers.json',
      source: '{}',
      says: /handlers\.json is no file of handlers: its name must end in \.ts, \.mts, \.js, \.mjs, \.cjs/,
    },
  ])('$title', async ({ name, source, says }) => {
    expect((await refusal(write(name, source))).message).toMatch(says);
  });

  it('none at that place', async () => {
    expect((await refusal('nowhere.ts')).message).toMatch(/^There is no file .*nowhere\.ts/);
  });

  it('a folder', async () => {
    mkdirSync(join(folder, 'folder.ts'));
    expect((await refusal('folder.ts')).message).toMatch(/folder\.ts is no file/);
  });

  it('what the file threw is kept for --verbose', async () => {
    const error = await refusal(write('handlers.ts', `throw new RangeError('no plan is set');`));
    expect(error.cause).toMatchObject({
      name: 'RangeError',
      stack: expect.stringContaining('handlers.ts:1'),
    });
  });
});
