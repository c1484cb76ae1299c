/** What may become of a delivery, and what its sender is told: a status and a few words, never data. */

export type Outcome =
  | 'accepted'
  | 'duplicate'
  | 'hint'
  | 'forged'
  | 'stale'
  | 'malformed'
  | 'too large'
  | 'not started'
  | 'unavailable';

export interface Answer {
  readonly status: 200 | 400 | 404 | 413 | 503;
  readonly text: string;
}

/** How long a sender should wait before it tries again, in seconds. Stripe itself goes by its own schedule. */
export const RETRY_AFTER_SECONDS = 10;

export const ANSWERS: Readonly<Record<Outcome, Answer>> = {
  accepted: { status: 200, text: 'stored' },
  duplicate: { status: 200, text: 'stored before' },
  hint: { status: 200, text: 'taken as a hint: the account polls now' },
  forged: { status: 400, text: 'the signature is missing, or made with another secret or for another body' },
  stale: { status: 400, text: 'the signature is older than 300 seconds, or of the future' },
  malformed: { status: 400, text: 'the body is no Stripe event' },
  'too large': { status: 413, text: 'the body is larger than an event can be' },
  'not started': { status: 404, text: 'no such account: it was never started' },
  unavailable: { status: 503, text: 'nothing is stored for the moment: try again' },
};
