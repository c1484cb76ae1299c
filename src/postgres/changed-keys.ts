/**
 * SQL for the sorted top-level keys whose values differ between two JSON objects, given as SQL expressions; all
 * keys of the second where the first is null, or no object, as somebody's own hand may have left it.
 */
export function changedKeys(before: string, after: string): string {
  return `array(
    select coalesce(old.key, new.key)
    from jsonb_each(case when jsonb_typeof(${before}) = 'object' then ${before} else '{}' end) as old full join jsonb_each(${after}) as new on new.key = old.key
    where old.value is distinct from new.value
    order by 1
  )`;
}

/**
 * SQL for what the change feed says of the keys of a change: those that differ, and none where the row is new, since
 * all of them are. Naming them would cost a backfill more than half as much again as writing its rows.
 *
 * @param isNew SQL for whether there was no row before
 */
export function changedOf(isNew: string, before: string, after: string): string {
  return `case when ${isNew} then '{}' else ${changedKeys(before, after)} end`;
}

/**
 * SQL for the kind of a change in the feed, as the table saw it: from whether the row was and is a tombstone, given as
 * SQL expressions; the first is null where there was no row.
 */
export function changeKind(wasDeleted: string, isDeleted: string): string {
  return `case
    when ${isDeleted} then case when ${wasDeleted} then 'updated' else 'deleted' end
    when ${wasDeleted} is null or ${wasDeleted} then 'created'
    else 'updated'
  end`;
}
