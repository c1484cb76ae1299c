/** Workflow ids and what they mean to a person who reads them in the Temporal UI. */

/**
 * Bytes of a workflow id. Temporal takes 1,000, and a start with more fails the workflow task of whoever asks for it,
 * again and again: one coupon with an id of 300 emoji would stop its account.
 */
const MOST_BYTES = 900;
const MOST_KEPT = 60;

export function accountWorkflowId(account: string): string {
  return account;
}

/** An object's id may have 5,000 letters, where the merchant chose it: a long one ends in a digest of itself. */
export function entityWorkflowId(account: string, object: string, objectId: string): string {
  const id = `${account}/${object}/${objectId}`;
  if (bytesOf(id) <= MOST_BYTES) return id;
  const kept = [...objectId].slice(0, MOST_KEPT).join('');
  return `${account}/${object}/${kept}…${digestOf(objectId, 1)}${digestOf(objectId, 2)}`;
}

export function backfillWorkflowId(account: string, number: number): string {
  return `${account}/backfill/${number}`;
}

/** The child of a backfill that lists one type. */
export function listingWorkflowId(account: string, number: number, object: string): string {
  return `${backfillWorkflowId(account, number)}/${object}`;
}

export function rescanWorkflowId(account: string, deep: boolean): string {
  return `${account}/rescan/${deep ? 'deep' : 'rolling'}`;
}

/** Of whatever looks for accounts that are connected to a platform, and of the schedule that starts it. */
export function connectedWorkflowId(platform: string): string {
  return `${platform}/connected`;
}

/** Bytes in UTF-8, at most: each half of a pair counts as three. */
function bytesOf(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
  }
  return bytes;
}

/** 64 bits as hexadecimal digits. Workflows have no crypto of Node's, and nobody is to be kept from a collision. */
function digestOf(text: string, seed: number): string {
  let digest = BigInt(seed) * 0x9e3779b97f4a7c15n;
  for (let index = 0; index < text.length; index += 1) {
    digest = BigInt.asUintN(64, (digest ^ BigInt(text.charCodeAt(index))) * 0x100000001b3n);
    digest ^= digest >> 29n;
  }
  return BigInt.asUintN(64, digest * 0xbf58476d1ce4e5b9n)
    .toString(16)
    .padStart(16, '0');
}
