/**
 * An SQL expression that tells whether the object of an event is not all of the object: a list in it is cut
 * (`has_more`), or the ledger holds no object at all, because PostgreSQL could not hold it. Such a payload must not
 * be stored as the object's state.
 *
 * jsonb writes a key and its value in one way only, so a search of the text, which the digest needs anyway, spares
 * nearly all events the walk through the object.
 *
 * @param object an SQL expression of type jsonb, such as `event->'data'->'object'`
 */
export function partialPayload(object: string): string {
  return `case
    when ${object} is null then true
    when strpos((${object})::text, '"has_more": true') = 0 then false
    else jsonb_path_exists(${object}, 'strict $.** ? (@.object == "list" && @.has_more == true)')
  end`;
}
