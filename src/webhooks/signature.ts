import Stripe from 'stripe';

/** How far a signature's time may lie from ours, before or after it, in seconds: Stripe's own tolerance. */
export const TOLERANCE_SECONDS = 300;

export interface Signature {
  /** When the delivery was signed, in seconds of the sender's clock. */
  readonly at: number;
  /** The header, but for what is not of the scheme `v1`. */
  readonly header: string;
}

/**
 * What the header says; null where it does not name one time, in digits, and a signature of the scheme `v1`. Stricter than
 * the package, which reads `12x` as 12, takes the last of several times, and fails on a `v1` without a value: what is
 * compared with our clock has to be what is signed.
 */
export function readSignature(header: string | string[] | undefined): Signature | null {
  const parts = typeof header === 'string' ? header.split(',') : [];
  const times = parts.filter((part) => part.startsWith('t='));
  const signatures = parts.filter((part) => /^v1=[0-9a-f]{64}$/.test(part));
  const [time = ''] = times;
  if (times.length !== 1 || !/^t=\d{1,12}$/.test(time) || signatures.length === 0) return null;
  return { at: Number(time.slice(2)), header: [time, ...signatures].join() };
}

/** The package lets signatures of the future pass, so that one could be made now for any later time. */
export function isWithinTolerance(at: number, nowMs: number): boolean {
  return Math.abs(Math.floor(nowMs / 1000) - at) <= TOLERANCE_SECONDS;
}

/** Whether one of the secrets signed exactly this body. While a secret rolls, there are two. */
export function isSigned(
  body: string,
  { header }: Signature,
  secrets: readonly string[],
  receivedAtMs: number,
): boolean {
  const { signature } = Stripe.webhooks;
  if (signature === null) throw new Error('the stripe package comes without its signature check');
  return secrets.some((secret) => {
    try {
      return signature.verifyHeader(body, header, secret, TOLERANCE_SECONDS, undefined, receivedAtMs);
    } catch (error) {
      // The error holds the body and the header, so it goes no further.
      if (error instanceof Stripe.errors.StripeSignatureVerificationError) return false;
      throw new Error('the signature could not be checked');
    }
  });
}
