import type { Pool } from 'pg';
import { apiKeyOf, type Environment, requestRatesOf } from '../config.js';
import { UserError } from '../domain/failures.js';
import { type ConnectedAccount, noteLivemode, readConnectedAccount } from '../postgres/connected-account.js';
import { livemodeOf, modeName } from '../stripe/api-key.js';
import { createStripeClient, type StripeClient } from '../stripe/client.js';
import { pacedClient } from '../stripe/paced-client.js';
import { createRequestPace, type PaceStats, type RequestPace } from '../stripe/request-pace.js';
import { paceSettings } from '../stripe/request-rates.js';

interface Paced {
  readonly client: StripeClient;
  readonly pace: RequestPace;
}

/** What is known of aliases, and is noted of them. */
export interface AliasNotes {
  read(account: string): Promise<ConnectedAccount>;
  /** Of an account that was opened. @returns what is known, which may be the other mode */
  noteLivemode(account: string, livemode: boolean): Promise<boolean>;
}

export function aliasNotes(pool: Pool): AliasNotes {
  return {
    read: (account) => readConnectedAccount(pool, account),
    noteLivemode: (account, livemode) => noteLivemode(pool, account, livemode),
  };
}

/**
 * One client per account, made when it is first needed; the key comes from the worker's environment. Accounts that
 * share a key share its pace. Throws a `UserError` where the environment sets a rate that is none; so does a request
 * with a key of the other mode than the tables' data: test and live mode of an account have one id and nothing else in common.
 *
 * @param notes which connected account an alias reads, and with whose key; without them, each reads the account of its key
 */
export function createStripeClients(env: Environment, baseUrl: string | undefined, notes?: AliasNotes) {
  const { perEndpoint, total } = requestRatesOf(env);
  /** By alias, connected account and alias of the key. */
  const clients = new Map<string, Paced>();
  const known = new Map<string, StripeClient>();
  const paces = new Map<string, RequestPace>();

  const paceOf = (apiKey: string): RequestPace => {
    const found = paces.get(apiKey);
    if (found !== undefined) return found;
    const pace = createRequestPace(
      paceSettings({ apiKey, baseUrl, perSecond: perEndpoint, perSecondTotal: total }),
    );
    paces.set(apiKey, pace);
    return pace;
  };

  function clientFor(account: string, stripeAccount: string | null, keyAlias: string | null): StripeClient {
    const name = `${account} ${stripeAccount ?? ''} ${keyAlias ?? ''}`;
    const found = clients.get(name);
    if (found !== undefined) return found.client;
    const apiKey = apiKeyOf(env, keyAlias ?? account);
    const direct = createStripeClient({
      apiKey,
      baseUrl,
      ...(stripeAccount === null ? {} : { stripeAccount }),
    });
    const pace = paceOf(apiKey);
    const client = pacedClient(direct, pace);
    clients.set(name, { client, pace });
    return client;
  }

  /** An alias that was never opened may still be given another account, so it is looked up each time. */
  async function lookedUp(account: string, { read, noteLivemode: note }: AliasNotes): Promise<StripeClient> {
    const found = known.get(account);
    if (found !== undefined) return found;
    const { stripeAccount, keyAlias, livemode, isFinal } = await read(account);
    const client = clientFor(account, stripeAccount, keyAlias);
    if (!isFinal) return client;
    const own = livemodeOf(apiKeyOf(env, keyAlias ?? account));
    if (own !== null && own !== (livemode ?? (await note(account, own)))) throw ofOtherMode(account, own);
    known.set(account, client);
    return client;
  }

  return {
    of(account: string): StripeClient {
      if (notes === undefined) return clientFor(account, null, null);
      return {
        get: async (path, options) => (await lookedUp(account, notes)).get(path, options),
        close: () => known.get(account)?.close(),
      };
    },
    /** What the pace of an account's key has done so far; null before its first request. */
    pace(account: string): PaceStats | null {
      const found = [...clients].find(([name]) => name.startsWith(`${account} `));
      return found?.[1].pace.stats() ?? null;
    },
    close(): void {
      for (const { client } of clients.values()) client.close();
      for (const pace of paces.values()) pace.close();
    },
  };
}

function ofOtherMode(account: string, livemode: boolean): UserError {
  const [own, other] = [modeName(livemode), modeName(!livemode)];
  return new UserError(
    `The key of ${account} is of ${own} mode, and its tables hold what ${other} mode has: give the worker a key of ` +
      `${other} mode, or start ${own} mode under another alias.`,
  );
}
