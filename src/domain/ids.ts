/** Workflow ids and what they mean to a person who reads them in the Temporal UI. */

export function accountWorkflowId(account: string): string {
  return account;
}

export function entityWorkflowId(account: string, object: string, objectId: string): string {
  return `${account}/${object}/${objectId}`;
}

export function backfillWorkflowId(account: string, number: number): string {
  return `${account}/backfill/${number}`;
}

export function rescanWorkflowId(account: string, deep: boolean): string {
  return `${account}/rescan/${deep ? 'deep' : 'rolling'}`;
}
