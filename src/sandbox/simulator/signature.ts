/** How Stripe signs what it sends to a webhook endpoint. */
import { createHmac } from 'node:crypto';

function sign(secret: string, seconds: number, body: Buffer): string {
  return createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex');
}

/**
 * The `Stripe-Signature` header of one attempt: `t`, a `v1` for each secret that is active, and the `v0` that Stripe adds
 * to events of test mode. `v0` proves nothing (anybody can make it): a receiver has to ignore every scheme but `v1`.
 *
 * @param seconds when this attempt is made, in whole seconds of the simulator's clock
 */
export function signatureHeader(body: Buffer, secrets: readonly string[], seconds: number): string {
  return [
    `t=${seconds}`,
    ...secrets.map((secret) => `v1=${sign(secret, seconds, body)}`),
    `v0=${sign('', seconds, body)}`,
  ].join(',');
}
