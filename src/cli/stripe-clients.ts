import { apiKeyOf, type Environment } from '../config.js';
import { createStripeClient, type StripeClient } from '../stripe/client.js';

/** One client per account, made when it is first needed; the key comes from the worker's environment. */
export function createStripeClients(env: Environment, baseUrl: string | undefined) {
  const clients = new Map<string, StripeClient>();
  return {
    of(account: string): StripeClient {
      const known = clients.get(account);
      if (known !== undefined) return known;
      const client = createStripeClient({ apiKey: apiKeyOf(env, account), baseUrl });
      clients.set(account, client);
      return client;
    },
    close(): void {
      for (const client of clients.values()) client.close();
    },
  };
}
