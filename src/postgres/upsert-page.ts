import type { Pool, PoolClient } from 'pg';
import type { Version } from '../domain/version.js';
import { itemTexts } from '../stripe/json-text.js';
import { embeddings } from './embedded-rows.js';
import { isRefusedData, postgresErrorSummary } from './errors.js';
import { jsonbArray } from './jsonb-parameter.js';
import { type ListingStep, noteRefused, stepsParameter, takeStep } from './listing-step.js';
import { changingTransaction } from './number-changes.js';
import { withPrepared } from './prepared-statements.js';
import { ambiguousSql, type Feed, upsertPagesSql } from './upsert-page-sql.js';

/** What the pages of one statement have in common. */
export interface ListedType {
  readonly account: string;
  /** Stripe's `object` name, and its table. */
  readonly object: string;
  readonly table: string;
  readonly source: string;
  /** Fields that make the key, in order; `['id']` for nearly all objects. */
  readonly keyFields: readonly string[];
  /**
   * Whether an object may follow the tombstone of its id. Elsewhere a listed one contradicts the tombstone, so it is
   * not written, and named as ambiguous. False unless told.
   */
  readonly recreatable?: boolean;
  /**
   * Whether more such pages follow, so that the statement is worth keeping on its connection, where it takes some
   * 250 kB of the server's memory. False unless told.
   */
  readonly isOneOfMany?: boolean;
}

export interface PageOfType extends Version {
  /** JSON text of the page as it came: an object whose `data` is an array of objects. */
  readonly page: string;
  /**
   * Keys of objects that the page does not show in full, because a list in them is cut: they are not written, and
   * named as ambiguous instead.
   */
  readonly leaveOut?: readonly string[];
  /** The step of a listing that the page is: it is taken in the same transaction, or not at all. */
  readonly step?: ListingStep;
}

export type PageUpsert = ListedType & PageOfType;

export interface RefusedObject {
  /** Its first 255 characters: one that is too long may be what PostgreSQL refuses. */
  readonly objectId: string;
  /** PostgreSQL's code, without its words: they may quote the object. */
  readonly reason: string;
}

export interface PageResult {
  /** Objects on the page, without those that PostgreSQL refused. */
  readonly listed: number;
  readonly written: number;
  /**
   * Rows whose state differs from the page's within overlapping intervals, tombstones that the page contradicts, rows
   * that changed while it was written, and objects that were left out: each needs a read that lies wholly after this
   * second of Stripe's clock, with which both intervals are over.
   */
  readonly ambiguous: readonly { readonly objectId: string; readonly after: number }[];
  /** Objects that PostgreSQL cannot hold; their rows, where they have one, stay as they are. */
  readonly refused: readonly RefusedObject[];
  /** Whether the step was taken; false where somebody else took it before. */
  readonly taken: boolean;
}

/** Upserts a page, as `upsertPages` does several. */
export async function upsertPage(pool: Pool, input: PageUpsert): Promise<PageResult> {
  const [result] = await upsertPages(pool, input, [input]);
  if (result === undefined) throw new Error('a page has a result');
  return result;
}

/**
 * Upserts pages of one listing in one transaction. Should PostgreSQL refuse them for what one of their objects holds,
 * each page goes in by itself, and of the one that is refused again each object, as its own text: so that none holds up
 * the others.
 *
 * @param pages without an object in common
 * @returns a result for each page
 */
export async function upsertPages(
  pool: Pool,
  type: ListedType,
  pages: readonly PageOfType[],
): Promise<PageResult[]> {
  try {
    return await upsertWhole(pool, type, pages);
  } catch (error) {
    if (!isRefusedData(error)) throw error;
  }
  const results: PageResult[] = [];
  for (const page of pages) {
    const [result] = pages.length === 1 ? [] : await upsertPages(pool, type, [page]);
    results.push(result ?? (await upsertItems(pool, type, page)));
  }
  return results;
}

async function upsertItems(pool: Pool, type: ListedType, { step, ...page }: PageOfType): Promise<PageResult> {
  const refused: RefusedObject[] = [];
  const results: PageResult[] = [];
  for (const item of itemTexts(page.page, 'data')) {
    try {
      const noting = step === undefined ? {} : { step: { ...step, next: 'stay' as const } };
      results.push(...(await upsertWhole(pool, type, [{ ...page, ...noting, page: `{"data":[${item}]}` }])));
    } catch (error) {
      const reason = postgresErrorSummary(error);
      if (!isRefusedData(error) || reason === null) throw error;
      const objectId = entityKeyOf(JSON.parse(item), type.keyFields) ?? 'without id';
      refused.push({ objectId: objectId.slice(0, 255), reason });
    }
  }
  const listed = results.reduce((sum, result) => sum + result.listed, 0);
  const taken = step === undefined || (await takeStep(pool, type, step, listed));
  if (step !== undefined && taken) await noteRefused(pool, type, step.number, refused.length);
  return {
    listed,
    written: results.reduce((sum, { written }) => sum + written, 0),
    ambiguous: results.flatMap(({ ambiguous }) => ambiguous),
    refused,
    taken,
  };
}

/** The key of an object's row, or null where it lacks a part of it. */
export function entityKeyOf(entry: unknown, keyFields: readonly string[]): string | null {
  if (typeof entry !== 'object' || entry === null) return null;
  const parts = keyFields.map((field) => (entry as Record<string, unknown>)[field]);
  return parts.every((part) => typeof part === 'string') ? parts.join(':') : null;
}

let withEmbedded: ReadonlySet<string> | undefined;

/** Whether rows of other tables follow the object's rows, by a trigger, which fires after the statement. */
function hasEmbeddedRows(object: string): boolean {
  withEmbedded ??= new Set(embeddings().map(({ parent }) => parent));
  return withEmbedded.has(object);
}

interface Upserted {
  readonly listed: string | number;
  readonly written: string | number;
  readonly taken: boolean;
}

async function upsertWhole(
  pool: Pool,
  type: ListedType,
  pages: readonly PageOfType[],
): Promise<PageResult[]> {
  const { object, table, keyFields, source, recreatable = false, isOneOfMany = false } = type;
  const { rows } = await withPrepared(pool, isOneOfMany, (prepare) => {
    const upsert = (client: Pool | PoolClient, feed: Feed) =>
      client.query<Upserted>({
        ...prepare(upsertPagesSql(table, keyFields, feed)),
        values: [...parametersOf(type, pages), recreatable, source],
      });
    return hasEmbeddedRows(object)
      ? changingTransaction(pool, (client) => upsert(client, 'unnumbered_changes'))
      : upsert(pool, 'changes');
  });
  return Promise.all(
    pages.map((page, place) => {
      const row = rows[place];
      const listed = Number(row?.listed ?? 0);
      const written = Number(row?.written ?? 0);
      if (written < listed) return settleRest(pool, type, page, { listed, written });
      return {
        listed,
        written,
        ambiguous: [],
        refused: [],
        taken: page.step === undefined || row?.taken === true,
      };
    }),
  );
}

async function settleRest(
  pool: Pool,
  type: ListedType,
  page: PageOfType,
  counts: Pick<PageResult, 'listed' | 'written'>,
): Promise<PageResult> {
  const { rows } = await pool.query<{ id: string | null; after: string | number; taken: boolean }>(
    ambiguousSql(type.table, type.keyFields),
    parametersOf(type, [page]),
  );
  return {
    ...counts,
    ambiguous: rows.flatMap(({ id, after }) => (id === null ? [] : [{ objectId: id, after: Number(after) }])),
    refused: [],
    taken: page.step === undefined || rows[0]?.taken === true,
  };
}

function parametersOf({ account, object }: ListedType, pages: readonly PageOfType[]): unknown[] {
  return [
    account,
    jsonbArray(pages.map(({ page }) => page)),
    pages.map(({ asOf }) => asOf),
    pages.map(({ asOfUntil }) => asOfUntil),
    pages.flatMap(({ leaveOut = [] }) => leaveOut),
    stepsParameter(pages.map(({ step }) => step)),
    object,
  ];
}
