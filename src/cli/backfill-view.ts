/** What is shown of a backfill while somebody looks on. */
import type { Pool } from 'pg';
import type { BackfillProgress } from '../domain/account-state.js';
import type { ListingProgress } from '../postgres/listings.js';
import {
  endedBackfillLine,
  endedTypeLine,
  type MergedType,
  mergedTypes,
  progressLine,
  totalPace,
  typeLines,
} from './backfill-bars.js';
import { listingProgress } from './listing-progress.js';
import type { LiveLine } from './live-line.js';
import { createMovingPace } from './moving-pace.js';

/** Without a terminal, progress comes at this rhythm at most. */
export const PROGRESS_EVERY_MS = 5_000;

export interface BackfillFigures extends BackfillProgress {
  readonly types: readonly MergedType[];
  /** Of the types that have begun; nothing where PostgreSQL does not tell. */
  readonly listings: readonly ListingProgress[];
}

export interface BackfillView {
  /**
   * Shows how far it is: types that ended on lines that stay, those under way each with a bar below the line in all,
   * and what became of it once it has ended.
   */
  show(backfill: BackfillProgress): Promise<BackfillFigures>;
}

/** @param pool knows how far each type is; null: only what the workflow says is shown */
export function createBackfillView(pool: Pool | null, account: string, line: LiveLine): BackfillView {
  let number: number | null = null;
  let said = new Set<string>();
  let pace = createMovingPace();
  let frame = 0;
  return {
    async show(backfill) {
      if (backfill.number !== number) {
        number = backfill.number;
        said = new Set();
        pace = createMovingPace();
      }
      // Showing it is no reason to fail.
      const listings = pool === null ? [] : await listingProgress(pool, account, backfill).catch(() => []);
      const types = mergedTypes(backfill.types, listings);
      const known = new Map(listings.map((listing) => [listing.object, listing]));
      for (const type of types) {
        if (!type.done || said.has(type.object)) continue;
        said.add(type.object);
        const text = endedTypeLine(type, known.get(type.object));
        if (text !== null) line.say(text);
      }
      const figures = { ...backfill, types, listings };
      if (backfill.state !== 'running') {
        line.clear();
        line.say(endedBackfillLine(figures, listings));
        return figures;
      }
      pace.take(listings);
      frame += 1;
      line.show(progressLine(figures, totalPace(types, listings, pace)), PROGRESS_EVERY_MS, (room) =>
        typeLines(listings, pace, { room, frame }),
      );
      return figures;
    },
  };
}
