/** Every signal and query, with its types. Names are part of the contract: the Temporal UI and CLI send them. */
import { defineQuery, defineSignal } from '@temporalio/workflow';
import type {
  AccountState,
  BackfillTypeProgress,
  RescanReport,
  RescanWindow,
} from '../src/domain/account-state.js';
import type { Entities } from '../src/domain/backlog.js';
import type { LagLimits } from '../src/domain/lag.js';
import type { EntityBatch } from '../src/domain/routing.js';

/** Stops polling until `resume`. Needs no payload. */
export const pauseSignal = defineSignal('pause');
/** Goes on from the cursor. Needs no payload. */
export const resumeSignal = defineSignal('resume');
/** Polls now. */
export const wakeSignal = defineSignal('wake');
/** Ends the workflow once what it has claimed is delivered. */
export const stopSignal = defineSignal('stop');

export interface ResyncRequest {
  /** Object or table names; everything that can be listed without it. */
  readonly types?: readonly string[];
  /** Seconds since 1970, on Stripe's clock: only what was created from then on. Such a listing finds no deletions. */
  readonly since?: number;
  /** The same for single types. */
  readonly sinceOf?: Readonly<Record<string, number>>;
  /** Shown where the backfill is; `asked for` without it. */
  readonly reason?: string;
}
/** Lists everything again while events keep flowing. The payload may be left out. */
export const resyncSignal = defineSignal<[ResyncRequest?]>('resync');

export interface BackfillReport {
  readonly number: number;
  readonly types: readonly BackfillTypeProgress[];
  /** Set with the last report. */
  readonly state?: 'done' | 'failed';
}
/** From a backfill to its account. */
export const backfillReportSignal = defineSignal<[BackfillReport]>('backfill-report');
/** From an account to its backfill: tell all that you know. */
export const reportProgressSignal = defineSignal('report-progress');

export interface RescanDone {
  readonly window: RescanWindow;
  readonly report: RescanReport;
}
/** From a rescan to its account. */
export const rescanReportSignal = defineSignal<[RescanDone]>('rescan-report');

/** More changes for an entity that is being applied. */
export const deliverSignal = defineSignal<[EntityBatch]>('deliver');

export interface AccountStatus extends Omit<AccountState, 'lag' | 'trail' | 'lookedAt' | 'news' | 'backlog'> {
  readonly account: string;
  readonly state: 'running' | 'paused' | 'stopping';
  readonly lagSeconds: number;
  /** Between what the lag moves by itself; not told by 0.1.0. */
  readonly lagLimits?: LagLimits;
  readonly behindSeconds: number;
  readonly inFlight: number;
  /** What goes through entity children; not told by 0.4.0, as the next one. */
  readonly entities?: Entities;
  /** The backlog that is caught up with: seconds of Stripe's clock, events so far, and the share of it, 0 to 1. */
  readonly catchUp?: {
    readonly from: number;
    readonly to: number;
    readonly events: number;
    readonly share: number;
  } | null;
}
export const statusQuery = defineQuery<AccountStatus>('status');
