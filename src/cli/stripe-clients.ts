import { apiKeyOf, type Environment, requestRatesOf } from '../config.js';
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
 */
export function createStripeClients(env: Environment, baseUrl: string | undefined) {
  const { perEndpoint, total } = requestRatesOf(env);
  const clients = new Map<string, Paced>();
  const paces = new Map<string, RequestPace>();

  const paceOf = (apiKey: string): RequestPace => {
    const known = paces.get(apiKey);
    if (known !== undefined) return known;
    const pace = createRequestPace(
      paceSettings({ apiKey, baseUrl, perSecond: perEndpoint, perSecondTotal: total }),
    );
    paces.set(apiKey, pace);
    return pace;
  };

  return {
    of(account: string): StripeClient {
      const known = clients.get(account);
      if (known !== undefined) return known.client;
      const apiKey = apiKeyOf(env, account);
      const direct = createStripeClient({ apiKey, baseUrl });
      const pace = paceOf(apiKey);
      const client = pacedClient(direct, pace);
      clients.set(account, { client, pace });
      return client;
    },
    /** What the pace of an account's key has done so far; null before its first request. */
    pace: (account: string): PaceStats | null => clients.get(account)?.pace.stats() ?? null,
    close(): void {
      for (const { client } of clients.values()) client.close();
      for (const pace of paces.values()) pace.close();
    },
  };
}
