/**
 * A platform's endpoint is sent the events of all accounts that are connected to it, each with the account's id. They
 * are kept under the alias of that account.
 */
import type { Pool } from 'pg';
import { type ConnectedAlias, readConnectedAliases } from '../postgres/connected-aliases.js';

export interface ConnectRoutes {
  /**
   * The alias under which a delivery is kept.
   *
   * @param alias the one in the URL
   * @param stripeAccount of the event
   * @param isSignedFor whether the delivery is signed with a secret of this alias, too
   */
  aliasFor(alias: string, stripeAccount: string, isSignedFor: (alias: string) => boolean): Promise<string>;
}

/** For so long, in milliseconds, an account that was started since goes unnoticed: the poll brings what is missed. */
const KNOWN_FOR_MS = 10_000;
const MOST_KNOWN = 10_000;

/** @param now our clock, in milliseconds */
export function createConnectRoutes(pool: Pool, now: () => number): ConnectRoutes {
  const known = new Map<string, { readonly until: number; readonly aliases: Promise<ConnectedAlias[]> }>();

  function aliasesOf(stripeAccount: string): Promise<ConnectedAlias[]> {
    const found = known.get(stripeAccount);
    if (found !== undefined && now() < found.until) return found.aliases;
    const aliases = readConnectedAliases(pool, stripeAccount);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(stripeAccount, { until: now() + KNOWN_FOR_MS, aliases });
    aliases.catch(() => known.delete(stripeAccount));
    return aliases;
  }

  return {
    async aliasFor(alias, stripeAccount, isSignedFor) {
      return routeOf(alias, await aliasesOf(stripeAccount), isSignedFor);
    },
  };
}

/**
 * Whoever has the secret of the URL's alias may write what that alias's key reads, and nothing of others: an alias with
 * a key of its own is delivered to only where the delivery would pass at its own URL as well. Where there is none, the
 * event stays with the URL's alias, which keeps it as ignored.
 */
export function routeOf(
  alias: string,
  holders: readonly ConnectedAlias[],
  isSignedFor: (alias: string) => boolean,
): string {
  if (holders.some((holder) => holder.alias === alias)) return alias;
  const ofPlatform = holders.find(({ keyAlias }) => keyAlias === alias);
  const signed =
    ofPlatform ?? holders.find((holder) => holder.keyAlias === null && isSignedFor(holder.alias));
  return signed?.alias ?? alias;
}
