/** Whether a key reads live data, by its prefix, as in `rk_live_…` and `sk_test_…`; null where that does not tell. */
export function livemodeOf(apiKey: string): boolean | null {
  const [, mode] = /^[sr]k_(?:org_)?(live|test)_/.exec(apiKey) ?? [];
  return mode === undefined ? null : mode === 'live';
}

/** `live` or `test`, as Stripe calls them. */
export function modeName(livemode: boolean): 'live' | 'test' {
  return livemode ? 'live' : 'test';
}
