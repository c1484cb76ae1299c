import { apiKeyOf, type Environment, requestRatesOf } from '../config.js';
import type { ConnectedAccount } from '../postgres/connected-account.js';
import { createStripeClient, type StripeClient } from '../stripe/client.js';
import { pacedClient } from '../stripe/paced-client.js';
import { createRequestPace, type PaceStats, type RequestPace } from '../stripe/request-pace.js';
import { paceSettings } from '../stripe/request-rates.js';

interface Paced {
  readonly client: StripeClient;
  readonly pace: RequestPace;
}

/**
 * One client per account, made when it is first needed; the key comes from the worker's environment. Accounts that
 * share a key share its pace. Throws a `UserError` where the environment sets a rate that is none.
 *
 * @param connectedAccountOf which connected account an alias reads, and with whose key; without it, each reads the account of its key
 */
export function createStripeClients(
  env: Environment,
  baseUrl: string | undefined,
  connectedAccountOf?: (account: string) => Promise<ConnectedAccount>,
) {
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
  async function lookedUp(
    account: string,
    lookUp: (account: string) => Promise<ConnectedAccount>,
  ): Promise<StripeClient> {
    const found = known.get(account);
    if (found !== undefined) return found;
    const { stripeAccount, keyAlias, isFinal } = await lookUp(account);
    const client = clientFor(account, stripeAccount, keyAlias);
    if (isFinal) known.set(account, client);
    return client;
  }

  return {
    of(account: string): StripeClient {
      if (connectedAccountOf === undefined) return clientFor(account, null, null);
      return {
        get: async (path, options) => (await lookedUp(account, connectedAccountOf)).get(path, options),
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
