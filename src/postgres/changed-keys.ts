/**
 * SQL for the sorted top-level keys whose values differ between two JSON objects, given as SQL expressions; all
 * keys of the second where the first is null.
 */
export function changedKeys(before: string, after: string): string {
  return `array(
    select coalesce(old.key, new.key)
    from jsonb_each(coalesce(${before}, '{}')) as old full join jsonb_each(${after}) as new on new.key = old.key
    where old.value is distinct from new.value
    order by 1
  )`;
}
