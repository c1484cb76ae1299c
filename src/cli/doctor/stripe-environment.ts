/** What the environment tells of an account's Stripe key and webhook secret, without asking anybody. */
import type { Environment } from '../../config.js';
import { livemodeOf, modeName } from '../../stripe/api-key.js';
import { type Finding, fail, ok, warn } from './check.js';
import type { KnownAccount } from './known-account.js';

export interface AccountVariable {
  /** The account's own: `STRIPE_API_KEY_ACME`. */
  readonly own: string;
  /** The one that is set; null where neither is. */
  readonly name: string | null;
  readonly value: string | null;
}

/** A variable that each account may have of its own, as `apiKeyOf` in src/config.ts finds it. */
export function accountVariable(env: Environment, shared: string, alias: string): AccountVariable {
  const own = `${shared}_${alias.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
  for (const name of [own, shared]) {
    const value = env[name]?.trim();
    if (value) return { own, name, value };
  }
  return { own, name: null, value: null };
}

export const noKey = (own: string): Finding =>
  warn(
    `this environment has no key, so Stripe was not asked; the key that counts is the worker's`,
    `Run this where the worker runs, or set ${own} or STRIPE_API_KEY.`,
  );

/** What kind of key it is, by its prefix. The key itself is no part of it. */
export function keyFinding(name: string, key: string, alias: string, known: KnownAccount): Finding {
  const livemode = livemodeOf(key);
  const held = known.told ? (known.row?.livemode ?? null) : null;
  if (livemode !== null && held !== null && held !== livemode) {
    const [own, other] = [modeName(livemode), modeName(held)];
    return fail(
      `${name} is of ${own} mode, and the tables of ${alias} hold what ${other} mode has`,
      `Give ${alias} a key of ${other} mode, or start ${own} mode under another alias.`,
    );
  }
  const ofMode = livemode === null ? 'of unknown mode' : `of ${modeName(livemode)} mode`;
  if (key.startsWith('rk_')) return ok(`${name}: a restricted key ${ofMode}`);
  return warn(
    `${name}: a secret key ${ofMode}, which may do everything`,
    'Use a restricted key (rk_…): Read for events (rak_event_read) and for what is to be synced is enough; docs/doctor.md names the permissions.',
  );
}

/** Presence and form only: whether Stripe signs with it, the first webhook shows. */
export function webhookSecretFinding(env: Environment, alias: string): Finding {
  const { own, name, value } = accountVariable(env, 'STRIPE_WEBHOOK_SECRET', alias);
  if (name === null || value === null)
    return ok(`none in this environment (${own}, STRIPE_WEBHOOK_SECRET): events come by polling alone`);
  // As the receiver takes it apart: several, while a secret rolls.
  const secrets = value.split(/[\s,]+/).filter((secret) => secret !== '');
  if (secrets.length > 0 && secrets.every((secret) => /^whsec_\w+$/.test(secret)))
    return ok(`${name} is set`);
  return warn(
    `${name} is set, and is no signing secret`,
    'Copy the signing secret of the endpoint (whsec_…) from the Stripe Dashboard (Developers, Webhooks).',
  );
}
