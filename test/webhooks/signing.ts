/** A signature as Stripe's documentation describes it, made without the stripe package, so that this is checked as well. */
import { createHmac } from 'node:crypto';

export const SECRET = 'whsec_test5f2a9c';

export const nowSeconds = (): number => Math.floor(Date.now() / 1000);

/** HMAC with SHA-256 of the time, a dot and the raw body. */
export function signatureOf(body: string | Buffer, secret: string, at: number): string {
  return createHmac('sha256', secret).update(`${at}.`).update(body).digest('hex');
}

/** The header of a delivery; one `v1` for each secret. */
export function signed(
  body: string | Buffer,
  { secrets = [SECRET], at = nowSeconds() }: { secrets?: readonly string[]; at?: number } = {},
): string {
  return [`t=${at}`, ...secrets.map((secret) => `v1=${signatureOf(body, secret, at)}`)].join(',');
}
