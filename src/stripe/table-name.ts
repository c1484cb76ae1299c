import type { CatalogObject } from './catalog.js';

// Names that no rule gives: a participle takes no plural.
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ['billing.alert_triggered', 'billing_alerts_triggered'],
  ['treasury.financial_account_features', 'treasury_financial_account_features'],
]);

/**
 * The name of an object's table: its list path with `_` for `/` (`/v1/checkout/sessions` → `checkout_sessions`).
 * An object whose list hangs below another one, or that has none, is named by its plural (`line_item` →
 * `line_items`): bank accounts, cards and sources share one list path. A singleton keeps the name of its path.
 */
export function tableNameOf({
  object,
  listPath,
  retrievePath,
  singleton,
}: Pick<CatalogObject, 'object' | 'listPath' | 'retrievePath' | 'singleton'>): string {
  if (listPath !== null && !listPath.includes('{')) return pathName(listPath);
  if (singleton && retrievePath !== null) return pathName(retrievePath);
  return EXCEPTIONS.get(object) ?? plural(object.replaceAll('.', '_'));
}

function pathName(path: string): string {
  return path.replace(/^\/v1\//, '').replaceAll('/', '_');
}

function plural(noun: string): string {
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return /(s|x|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`;
}
