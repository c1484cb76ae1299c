/**
 * The accounts that are connected to the simulated one, which is their platform. As an object of the platform
 * (`/v1/accounts`) each is like any other; behind `Stripe-Account` it has objects and events of its own.
 */
import { type AccountRoom, createAccountRoom, type SharedByAccounts } from './account-room.js';
import type { Announced } from './announce.js';
import type { Changes, CreateOptions, SeedOptions } from './changes.js';
import { randomText } from './ids.js';
import type { Change } from './journal.js';
import type { JsonObject } from './json.js';
import type { Random } from './random.js';
import { readTruth, type TrueEvent, type TrueObject, type Truth, trueEvent, trueObject } from './truth.js';
import type { VisibilityProfile } from './visibility.js';

/** A connected account, to the process that the simulator runs in: as `Simulator` has it for its own account. */
export interface ConnectedAccount {
  /** `acct_…` */
  readonly account: string;
  create(object: string, fields?: JsonObject, options?: CreateOptions): JsonObject;
  update: Changes['update'];
  remove: Changes['remove'];
  emit(...input: Parameters<Changes['emit']>): TrueEvent;
  createMany(object: string, count: number, options?: SeedOptions): string[];
  makeChanges(count: number): void;
  get(object: string, id: string): TrueObject | undefined;
  truth(): Truth;
  events(): TrueEvent[];
}

export interface ConnectOptions {
  /** `acct_…`; made up from the seed unless it is given. One that was disconnected has what it had before. */
  readonly account?: string;
  /** When it was created, in whole seconds of the simulator's clock: now, unless it is given. */
  readonly created?: number;
  /** Fields of the platform's `account` object. */
  readonly fields?: JsonObject;
}

/** The platform's side of them, to the process that the simulator runs in. */
export interface ConnectControls {
  /** Connects a new account, or again one that was disconnected. Throws where it is connected already. */
  connectAccount(options?: ConnectOptions): ConnectedAccount;
  /** Throws where no such account is connected. */
  connectedAccount(account: string): ConnectedAccount;
  /** The platform's key reads nothing of it any more. Its endpoints for connected accounts are told, as the last thing. */
  disconnectAccount(account: string): void;
}

export interface ConnectedAccounts {
  readonly controls: ConnectControls;
  /** The room behind `Stripe-Account`; undefined where the platform's key has no access. */
  roomOf(account: string): AccountRoom | undefined;
  /** Whether an account was ever connected, which makes the simulated one a platform. */
  any(): boolean;
  setVisibility(profile: VisibilityProfile): void;
}

export interface ConnectContext {
  readonly shared: SharedByAccounts;
  readonly platform: AccountRoom;
  /** By account: what an earlier run on the same directory left. */
  readonly known: ReadonlyMap<string, Change>;
  readonly randomOf: (label: string) => Random;
  readonly publish: (account: string, change: Change, announced: readonly Announced[]) => void;
}

export function createConnectedAccounts(context: ConnectContext): ConnectedAccounts {
  const { platform, known, randomOf } = context;
  const rooms = new Map<string, AccountRoom>();
  const ids = randomOf('connected-accounts');
  let { visibility } = context.shared;

  const isConnected = (account: string): boolean => platform.store.alive('account', account) !== undefined;

  /** An account that only seeding or traffic made is connected as well: its room is furnished when somebody enters. */
  const roomOf = (account: string): AccountRoom | undefined => {
    if (!isConnected(account)) return undefined;
    const found = rooms.get(account);
    if (found !== undefined) return found;
    const room = createAccountRoom(
      { ...context.shared, visibility },
      {
        account,
        known: known.get(account) ?? { entries: [], events: [] },
        randomOf: (label) => randomOf(`${account}/${label}`),
        publish: (change, announced) => context.publish(account, change, announced),
      },
    );
    rooms.set(account, room);
    return room;
  };

  const entered = (account: string): AccountRoom => {
    const room = roomOf(account);
    if (room === undefined) throw new Error(`There is no connected account ${account}.`);
    return room;
  };

  const controls: ConnectControls = {
    connectAccount({ account = `acct_1${randomText(ids, 15)}`, created, fields = {} } = {}) {
      if (account === platform.account) throw new Error(`${account} is the platform itself.`);
      const given = { ...fields, id: account };
      // Stripe has no event for it: the platform made the account itself.
      platform.changes.create('account', given, {
        event: false,
        ...(created === undefined ? {} : { created }),
      });
      return asConnected(entered(account));
    },
    connectedAccount: (account) => asConnected(entered(account)),
    disconnectAccount(account) {
      const { changes } = entered(account);
      const { id } = changes.create('application', { name: 'Platform' }, { event: false });
      changes.emit('account.application.deauthorized', 'application', String(id));
      platform.changes.remove('account', account, { event: false });
    },
  };

  return {
    controls,
    roomOf,
    any: () => platform.store.all('account')[Symbol.iterator]().next().done !== true,
    setVisibility(profile) {
      visibility = profile;
      for (const { changes } of rooms.values()) changes.setVisibility(profile);
    },
  };
}

function asConnected({ account, changes, traffic, store, events }: AccountRoom): ConnectedAccount {
  return {
    account,
    create: changes.create,
    update: changes.update,
    remove: changes.remove,
    emit: (...input) => trueEvent(changes.emit(...input)),
    createMany: changes.createMany,
    makeChanges: traffic.make,
    get(object, id) {
      const entry = store.get(object, id);
      return entry === undefined ? undefined : trueObject(store, entry);
    },
    truth: () => readTruth(store),
    events: () => events.all().map(trueEvent),
  };
}
