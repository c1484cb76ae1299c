import { defineSearchAttributeKey, type SearchAttributePair, SearchAttributeType } from '@temporalio/common';

const STRIPE_ACCOUNT = defineSearchAttributeKey('StripeAccount', SearchAttributeType.KEYWORD);
const STRIPE_OBJECT = defineSearchAttributeKey('StripeObject', SearchAttributeType.KEYWORD);

/** Start options that make a workflow findable by account and object, where the namespace allows it. */
export function findableBy(
  enabled: boolean,
  account: string,
  object?: string,
): { typedSearchAttributes?: SearchAttributePair[] } {
  if (!enabled) return {};
  const pairs: SearchAttributePair[] = [{ key: STRIPE_ACCOUNT, value: account }];
  if (object !== undefined) pairs.push({ key: STRIPE_OBJECT, value: object });
  return { typedSearchAttributes: pairs };
}
