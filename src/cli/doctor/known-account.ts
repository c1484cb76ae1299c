import type { KnownAccountRow } from '../../postgres/read-known-account.js';

/** What the tables know of the alias: no row where nothing is noted of it; not told where PostgreSQL does not tell. */
export type KnownAccount =
  | { readonly told: false }
  | { readonly told: true; readonly row: KnownAccountRow | null };
