/** API keys: one that may do everything, restricted ones, and revoked ones. */
import { ApiError } from './errors.js';

export interface Key {
  readonly secret: string;
  /** Permissions such as `rak_customer_read`; everything when missing. */
  readonly permissions?: ReadonlySet<string>;
}

export interface Keys {
  /** The key of an `Authorization` header (Bearer, or Basic with the key as the user name), or a 401. */
  authenticate(header: string | undefined): Key;
  addRestricted(secret: string, permissions: readonly string[]): void;
  revoke(secret: string): void;
  restore(secret: string): void;
  restricted(): { secret: string; permissions: string[] }[];
}

const mask = (secret: string): string =>
  secret.length <= 12
    ? '*'.repeat(secret.length)
    : `${secret.slice(0, 8)}${'*'.repeat(secret.length - 12)}${secret.slice(-4)}`;

const UNAUTHENTICATED = {
  'WWW-Authenticate': 'Bearer realm="Stripe"',
};

export function createKeys(mainSecret: string): Keys {
  const keys = new Map<string, Key>([[mainSecret, { secret: mainSecret }]]);
  const revoked = new Set<string>();
  const refuse = (message: string, code?: string): ApiError =>
    new ApiError(401, message, code === undefined ? {} : { code }, UNAUTHENTICATED);

  return {
    authenticate(header) {
      const secret = secretOf(header);
      if (secret === undefined || secret === '') {
        throw refuse(
          'You did not provide an API key. Send it in the Authorization header, as in "Authorization: Bearer YOUR_SECRET_KEY".',
        );
      }
      const key = keys.get(secret);
      if (key === undefined) throw refuse(`Invalid API Key provided: ${mask(secret)}`);
      if (revoked.has(secret)) throw refuse(`Expired API Key provided: ${mask(secret)}`, 'api_key_expired');
      return key;
    },
    addRestricted(secret, permissions) {
      keys.set(secret, { secret, permissions: new Set(permissions) });
    },
    revoke: (secret) => void revoked.add(secret),
    restore: (secret) => void revoked.delete(secret),
    restricted: () =>
      [...keys.values()].flatMap(({ secret, permissions }) =>
        permissions === undefined ? [] : [{ secret, permissions: [...permissions] }],
      ),
  };
}

function secretOf(header: string | undefined): string | undefined {
  if (header?.startsWith('Bearer ')) return header.slice(7).trim();
  if (!header?.startsWith('Basic ')) return undefined;
  const [user] = Buffer.from(header.slice(6), 'base64').toString('utf8').split(':');
  return user;
}

/** The 403 of a restricted key. */
export function checkPermission(key: Key, permission: string | undefined, account: string): void {
  if (permission === undefined || key.permissions === undefined || key.permissions.has(permission)) return;
  throw new ApiError(
    403,
    `The provided key '${mask(key.secret)}' does not have the required permissions for this endpoint on account '${account}'. Having the '${permission}' permission would allow this request to continue.`,
    { code: 'more_permissions_required' },
  );
}
