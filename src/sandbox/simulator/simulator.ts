/** What the simulator offers to the process it runs in. */
import type { ChangeOptions, CreateOptions, SeedOptions } from './changes.js';
import type { ConnectControls } from './connected-accounts.js';
import type { FaultRule, FaultSettings } from './faults.js';
import type { JsonObject } from './json.js';
import type { RateLimitSettings } from './rate-limits.js';
import type { RequestStats, Stats } from './stats.js';
import type { TrafficOptions } from './traffic/traffic.js';
import type { TrueEvent, TrueObject, Truth } from './truth.js';
import type { VisibilityProfile } from './visibility.js';
import type { WebhookControls } from './webhooks.js';

export interface SimulatorOptions {
  /** 0, the default, takes a free port. */
  readonly port?: number;
  readonly host?: string;
  /** Whatever is drawn at random follows from it; 1 by default. */
  readonly seed?: number;
  /** Made up from the seed unless it is given. */
  readonly apiKey?: string;
  /** Further keys and what they may read: `{ rk_test_…: ['rak_customer_read'] }`. */
  readonly restrictedKeys?: Readonly<Record<string, readonly string[]>>;
  /** The account's default version: the newest of the catalog, unless it is given. */
  readonly apiVersion?: string;
  /** How far the simulated clock is ahead of the machine's, in seconds; negative for behind. */
  readonly skewSeconds?: number;
  /** The machine's clock, in milliseconds. */
  readonly machineNow?: () => number;
  readonly visibility?: VisibilityProfile;
  /** For how long events are listed, in seconds: 30 days, unless it is given. */
  readonly retentionSeconds?: number;
  /** False leaves the `Date` header out. */
  readonly dateHeader?: boolean;
  /** How many items an embedded list shows: 10, unless it is given. */
  readonly embeddedItems?: number;
  readonly faults?: FaultSettings;
  readonly limits?: RateLimitSettings;
  /** Where to keep the account, so that the next start on it goes on from here. In memory only, unless it is given. */
  readonly directory?: string;
}

export interface Simulator extends WebhookControls, ConnectControls {
  readonly url: string;
  readonly port: number;
  readonly apiKey: string;
  /** The account's id, `acct_…`. */
  readonly account: string;
  readonly apiVersion: string;
  /** Seconds of the simulated clock, with a fraction. */
  now(): number;
  advanceClock(seconds: number): void;
  setSkew(seconds: number): void;

  /** Makes an object, and everything it needs, with the events that Stripe would send; returns its state. */
  create(object: string, fields?: JsonObject, options?: CreateOptions): JsonObject;
  /** Changes an object: hashes are merged, everything else is replaced. Throws if it is not there. */
  update(object: string, id: string, fields: JsonObject, options?: ChangeOptions): JsonObject;
  /** Deletes an object with all that goes with it, or cancels a subscription. */
  remove(object: string, id: string, options?: ChangeOptions): void;
  /** Sends an event of an object as it is; without an id, of a preview that has none. */
  emit(type: string, object: string, id?: string, options?: ChangeOptions): TrueEvent;
  /** Makes many objects of a time before the account's start, without events; returns their ids. */
  createMany(object: string, count: number, options?: SeedOptions): string[];

  startTraffic(options: TrafficOptions): void;
  stopTraffic(): void;
  /** Makes so many changes of the kind that traffic makes, at once. */
  makeChanges(count: number): void;

  setVisibility(profile: VisibilityProfile): void;
  /** Replaces latency and all rules; `{}` ends them. */
  setFaults(settings: FaultSettings): void;
  addFault(rule: FaultRule): void;
  setLimits(settings: RateLimitSettings): void;
  /** Begins anew to take note of each page of a list that is served, for `stats`; or ends that. */
  recordPages(on: boolean): void;
  revokeKey(): void;
  restoreKey(): void;
  /** A new key that may read what these permissions allow, such as `rak_customer_read`. */
  createRestrictedKey(permissions: readonly string[]): string;

  get(object: string, id: string): TrueObject | undefined;
  truth(): Truth;
  /** All events ever made, oldest first, visible or not. */
  events(): TrueEvent[];
  event(id: string): TrueEvent | undefined;
  stats(): Stats;
  /** These of `stats()`, at no cost, for who asks often: others are counted over all events at each call. */
  requestStats(): RequestStats;
  close(): Promise<void>;
}
