import { statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { createJiti } from 'jiti';
import { UserError } from '../domain/failures.js';
import { eventTypeNamed, eventTypes } from '../stripe/event-types.js';
import { suggestionsFor } from '../stripe/similar-names.js';
import { storedObjects } from '../stripe/stored-objects.js';
import type { Handlers } from './define-handlers.js';
import * as exported from './index.js';

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs'];
const PACKAGE = 'durable-stripe-sync';

/**
 * Loads a file of handlers, TypeScript or JavaScript, and makes sure that each of them can run.
 *
 * @param file relative to `folder`
 * @throws UserError in one line, whose cause is what the file itself threw
 */
export async function loadHandlers(file: string, folder: string): Promise<Handlers> {
  const path = resolve(folder, file);
  assertLoadable(file, path);
  const module = await load(file, path);
  const handlers = defaultOf(module);
  if (handlers === undefined) {
    throw new UserError(
      `${file} has no default export: write "export default defineHandlers({ 'invoice.paid': … })".`,
    );
  }
  const problems = problemsOf(handlers);
  if (problems.length > 0) throw new UserError(`${file} cannot be used: ${problems.join('; ')}.`);
  return handlers as Handlers;
}

function assertLoadable(file: string, path: string): void {
  if (!EXTENSIONS.includes(extname(path))) {
    throw new UserError(`${file} is no file of handlers: its name must end in ${EXTENSIONS.join(', ')}.`);
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new UserError(`There is no file ${path}: name the file of handlers.`);
  if (!stat.isFile()) throw new UserError(`${path} is no file: name the file of handlers.`);
}

async function load(file: string, path: string): Promise<unknown> {
  const jiti = createJiti(path, {
    // The worker writes nothing beside somebody's sources, and never runs an older version of them.
    fsCache: false,
    interopDefault: false,
    // The lines of a stack are those of the file.
    sourceMaps: true,
    // The file gets the running package, wherever it lies and whether or not it is installed there.
    virtualModules: { [PACKAGE]: exported },
  });
  try {
    return await jiti.import(path);
  } catch (thrown) {
    const failure = new UserError(`${file} cannot be loaded: ${firstLine(thrown)}`);
    failure.cause = thrown;
    throw failure;
  }
}

/** One line; of a syntax error also the next one, which says where. */
function firstLine(thrown: unknown): string {
  const text = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : `it threw ${String(thrown)}`;
  const [first = '', second = ''] = stripVTControlCharacters(text)
    .split('\n')
    .map((line) => line.trim());
  return /ParseError/.test(first) && /:\d+:\d+$/.test(second) ? `${first} (${second})` : first;
}

/** What the module exports by default: `export default`, or `module.exports` of a CommonJS file. */
function defaultOf(module: unknown): unknown {
  if (typeof module !== 'object' || module === null) return module;
  if ('default' in module) {
    const inner: unknown = module.default;
    return isCompiled(inner) && 'default' in inner ? inner.default : inner;
  }
  return isCompiled(module) || Symbol.toStringTag in module ? undefined : module;
}

/** An ECMAScript module that was compiled to CommonJS. */
function isCompiled(module: unknown): module is object {
  return typeof module === 'object' && module !== null && '__esModule' in module;
}

function problemsOf(handlers: unknown): string[] {
  if (typeof handlers !== 'object' || handlers === null || Array.isArray(handlers)) {
    return ['its default export is no object of handlers by event type'];
  }
  const entries = Object.entries(handlers);
  if (entries.length === 0) return ['its default export holds no handler'];
  return entries.flatMap(([type, handler]) => problemOf(type, handler) ?? []);
}

function problemOf(type: string, handler: unknown): string | null {
  if (type !== '*') {
    const known = eventTypeNamed(type);
    if (known === undefined) return `Stripe has no event type "${type}"${suggested(type)}`;
    const stored = new Set(storedObjects());
    if (
      known.retrieveKind.startsWith('none (preview') ||
      !known.objects.some((object) => stored.has(object))
    ) {
      return `events of type "${type}" change no row, so a handler for them would never run`;
    }
  }
  return typeof handler === 'function' ? null : `the handler for "${type}" is no function`;
}

function suggested(type: string): string {
  const names = suggestionsFor(type, [...eventTypes().map((each) => each.type)]);
  return names.length === 0 ? '' : ` (did you mean ${names.join(' or ')}?)`;
}
