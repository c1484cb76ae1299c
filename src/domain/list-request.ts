/**
 * What is asked of Stripe's list of events, and what it answers. Reads of the list are generators that yield
 * requests and are given answers, so that the same code runs over HTTP and over a model of the list.
 */
import type { Position } from './cursor.js';

export type ListRequest =
  /** What was listed next after an event, towards the newest. */
  | { readonly kind: 'after'; readonly id: string }
  /** The newest of a window of `created`, both ends included, in seconds; null leaves an end open. */
  | {
      readonly kind: 'window';
      readonly from: number | null;
      readonly to: number | null;
      /** Only what is listed below this event. */
      readonly below: string | null;
      readonly limit: number;
    };

export interface ListPage {
  /** In the list's order, newest first. */
  readonly listed: readonly Position[];
  readonly hasMore: boolean;
  /** The earliest second of Stripe's clock in which the list may have been read; null where nothing tells it. */
  readonly readAt: number | null;
  /** The latest that the answer itself says, however odd it looks; null where it says nothing. */
  readonly saidAt: number | null;
  /** How many of them were never listed before. */
  readonly news: number;
}

/** `lost` where Stripe does not know the event that a request begins at: it has aged out, or never was. */
export type ListAnswer = ListPage | 'lost';
