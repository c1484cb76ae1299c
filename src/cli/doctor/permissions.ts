/** Which types the key may read: each list of the account is asked for one object. */
import { StripeFailure } from '../../domain/failures.js';
import type { StripeClient } from '../../stripe/client.js';
import { backfillTypes, listingOf } from '../../stripe/listings.js';
import { type Finding, ok, warn } from './check.js';

/** Types that belong to objects of other types (the persons of an account) take an id, and are not asked for. */
export interface ReadableTypes {
  readonly readable: readonly string[];
  /** What the account does not have, whatever the key may do. */
  readonly absent: readonly string[];
  /** Types by the permission that Stripe names; under '' where it names none. */
  readonly missing: ReadonlyMap<string, readonly string[]>;
  readonly unanswered: readonly { readonly object: string; readonly why: string }[];
  readonly notAsked: readonly string[];
}

interface Question {
  readonly object: string;
  readonly path: string;
}

type Answer = 'readable' | 'absent' | { readonly missing: string } | { readonly unanswered: string };

/**
 * Asks at the pace of the client's key, which bounds how many requests are under way.
 *
 * @param onAnswer told how many types have answered, of how many
 */
export async function askForTypes(
  client: StripeClient,
  signal: AbortSignal,
  onAnswer: (done: number, all: number) => void,
): Promise<ReadableTypes> {
  const questions = backfillTypes().flatMap(questionOf);
  let done = 0;
  onAnswer(done, questions.length);
  const answers = await Promise.all(
    questions.map(async (question) => {
      const answer = await ask(client, question, signal);
      done += 1;
      onAnswer(done, questions.length);
      return { ...question, answer };
    }),
  );
  const asked = new Set(questions.map(({ object }) => object));
  const missing = new Map<string, string[]>();
  const unanswered: { object: string; why: string }[] = [];
  for (const { object, answer } of answers) {
    if (typeof answer === 'string') continue;
    if ('unanswered' in answer) unanswered.push({ object, why: answer.unanswered });
    else missing.set(answer.missing, [...(missing.get(answer.missing) ?? []), object]);
  }
  const those = (which: Answer) =>
    answers.flatMap(({ object, answer }) => (answer === which ? [object] : []));
  return {
    readable: those('readable'),
    absent: those('absent'),
    missing,
    unanswered,
    notAsked: backfillTypes().filter((object) => !asked.has(object)),
  };
}

function questionOf(object: string): Question[] {
  const listing = listingOf(object);
  if (listing.how === 'singleton') return [{ object, path: listing.path }];
  if (listing.how !== 'list') return [];
  const query = new URLSearchParams({ ...(listing.paged ? { limit: '1' } : {}), ...listing.passes[0] });
  return [{ object, path: query.size === 0 ? listing.path : `${listing.path}?${query}` }];
}

async function ask(client: StripeClient, { path }: Question, signal: AbortSignal): Promise<Answer> {
  try {
    // In the lane that waits its turn: whatever else goes by this key's pace comes first, and a 429 is sent again.
    await client.get(path, { signal, lane: 'bulk', deadlineMs: 10_000 });
    return 'readable';
  } catch (error) {
    if (!(error instanceof StripeFailure)) throw error;
    if (error.kind === 'permission') return { missing: error.missingPermission ?? '' };
    if (error.kind === 'invalid' || error.kind === 'gone') return 'absent';
    return { unanswered: error.message };
  }
}

/** How many may be read, all in all. */
export function typesFinding({ readable, absent, missing, unanswered, notAsked }: ReadableTypes): Finding {
  const lacking = [...missing.values()].reduce((sum, objects) => sum + objects.length, 0);
  const all = readable.length + absent.length + lacking + unanswered.length;
  const found =
    `${readable.length} of ${all} types may be read` +
    (absent.length > 0 ? `, ${absent.length} are no part of this account` : '') +
    (lacking > 0 ? `, ${lacking} want a permission that the key lacks` : '') +
    (notAsked.length > 0 ? ` (not asked: ${notAsked.length} that are listed for single objects only)` : '');
  const [first] = unanswered;
  if (first !== undefined) {
    return warn(
      `${found}; ${unanswered.length} did not answer, such as ${first.object}: ${first.why}`,
      'Run this again later.',
    );
  }
  if (lacking === 0) return ok(found);
  return warn(found, 'Give the key the permissions below, or leave the types out: stripe-sync start --types');
}

/** The most types that one line names. */
const MOST_NAMED = 12;

/** A finding for each permission that is missing, by its name. */
export function missingPermissions({ missing }: ReadableTypes): { check: string; finding: Finding }[] {
  return [...missing].sort().map(([permission, objects]) => {
    const more = objects.length - MOST_NAMED;
    const types = `${objects.slice(0, MOST_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
    return permission === ''
      ? {
          check: 'unnamed permission',
          finding: warn(
            `missing for ${types}; Stripe does not say which it is`,
            'Set what belongs to these types to Read for the key (Stripe Dashboard, Developers, API keys).',
          ),
        }
      : {
          check: permission,
          finding: warn(
            `missing for ${types}`,
            `Set it to Read for the key (Stripe Dashboard, Developers, API keys).`,
          ),
        };
  });
}
