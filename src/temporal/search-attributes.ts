/** The search attributes by which runs are found in the Temporal UI. Everything works without them. */
import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';

export const SEARCH_ATTRIBUTES = ['StripeAccount', 'StripeObject'] as const;

/** Whether the namespace knows them all. False where the server does not let us ask. */
export async function hasSearchAttributes(client: Client): Promise<boolean> {
  try {
    const { customAttributes } = await client.connection.operatorService.listSearchAttributes({
      namespace: client.options.namespace,
    });
    return SEARCH_ATTRIBUTES.every((name) => customAttributes?.[name] !== undefined);
  } catch {
    return false;
  }
}

/** Registers those that are missing. Returns whether the namespace knows them all afterwards. */
export async function registerSearchAttributes(client: Client): Promise<boolean> {
  if (await hasSearchAttributes(client)) return true;
  const keyword = proto.temporal.api.enums.v1.IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD;
  try {
    await client.connection.operatorService.addSearchAttributes({
      namespace: client.options.namespace,
      searchAttributes: Object.fromEntries(SEARCH_ATTRIBUTES.map((name) => [name, keyword])),
    });
  } catch {
    return false;
  }
  return hasSearchAttributes(client);
}
