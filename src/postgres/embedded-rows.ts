/**
 * Rows of the types that come whole inside of their parent's object, such as the items of a subscription. They follow
 * their parent's row by triggers, in its transaction, whoever writes it: an event, a page of a listing, a read.
 *
 * What a parent's row says of its children:
 * - An item that it shows has a row with the item as `data`, deleted where the parent is.
 * - A child that it does not show is a tombstone, if the parent is one or shows all that it holds (`has_more` is
 *   false). A list that is cut, null or no list at all says nothing of what it does not show.
 * - A row that says so already stays as it is, with its older version: since then nothing about it has changed.
 * - Where two living parents show one item, the newer version has it.
 *
 * Nothing that `data` may hold raises: what is no object with a string id of a size that fits into an index is passed
 * over, and of an item that is listed twice the last one counts.
 */
import { escapeIdentifier, escapeLiteral } from 'pg';
import { syncedObjects, tableOf } from '../stripe/catalog.js';
import { listingOf } from '../stripe/listings.js';
import { changedOf, changeKind } from './changed-keys.js';

/** Objects of a type that are the items of a list in the objects of another type. */
export interface Embedding {
  /** Stripe's `object` names. */
  readonly object: string;
  readonly parent: string;
  /** The list in the parent: `items`. */
  readonly field: string;
}

export function embeddings(): Embedding[] {
  return syncedObjects().flatMap(({ object }) => {
    const listing = listingOf(object);
    return listing.how === 'embedded' ? [{ object, parent: listing.parent, field: listing.field }] : [];
  });
}

/** The column of an embedded type's table that names the row's parent; Stripe's items do not all name theirs. */
export const PARENT_COLUMN = 'parent_id';

/** Two keys of this size, in bytes, are what an index of PostgreSQL holds of a row at most. Stripe's have 255. */
const LONGEST_KEY = 2_500;

const table = (object: string) => `stripe.${escapeIdentifier(tableOf(object))}`;

/** Of the function in `stripe_sync`, of the triggers on the parent's table, and of the index in `stripe`. */
export const functionName = ({ object }: Embedding) => `embed_${tableOf(object)}`;
export const triggerName = ({ object }: Embedding, event: TriggerEvent) =>
  `embed_${tableOf(object)}_${event}`;
export const indexName = ({ object }: Embedding) => `${tableOf(object)}_${PARENT_COLUMN}`;

/** Transition tables need a trigger for each kind of event. An upsert fires both. */
export const TRIGGER_EVENTS = ['insert', 'update'] as const;
export type TriggerEvent = (typeof TRIGGER_EVENTS)[number];

/**
 * The statement that makes the children of some parents equal to what the parents' rows say. What changes goes into
 * the change feed, once the transaction numbers its changes (number-changes.ts).
 *
 * The function keeps its plan for as long as the connection lives, so nothing depends on how many rows there were when
 * it was planned. Children are looked up parent by parent, and there is one index for it: `account || ''` keeps the
 * others out, any of which would do while a table is small. `moved` is for rows of other parents, and hardly ever runs.
 *
 * The rows are written in the order of their keys, like all rows. Items are compared by their bytes: to jsonb, 1.0 and
 * 1.00 are equal.
 *
 * @param parents SQL for the parents' rows, whose transaction holds their locks
 */
export function embeddedRowsSql({ object, parent, field }: Embedding, parents: string): string {
  const child = table(object);
  const version = ['as_of', 'as_of_until', 'source'];
  const columns = ['account', 'id', 'data', ...version, 'deleted', PARENT_COLUMN].join(', ');
  const of = (alias: string) => [...version, 'event_id'].map((column) => `${alias}.${column}`).join(', ');
  const either = (column: string) => `coalesce(s.${column}, k.${column}) as ${column}`;
  const wasObject = "case when jsonb_typeof(f.was) = 'object' then f.was end";
  return `with held as materialized (
  select p.account, p.id, p.as_of, p.as_of_until, p.deleted, p.source, p.data->${escapeLiteral(field)} as list,
    case when not starts_with(p.source, 'backfill:') and not starts_with(p.source, 'read:') then p.source end as event_id
  from ${parents} as p
), shown as (
  select distinct on (h.account, id) h.account, item->>'id' as id, h.id as ${PARENT_COLUMN}, item as data, h.deleted, ${of('h')}
  from held h, lateral jsonb_array_elements(
    case jsonb_typeof(h.list->'data') when 'array' then h.list->'data' else '[]' end
  ) with ordinality as e (item, position)
  where jsonb_typeof(item->'id') = 'string' and octet_length(h.account || (item->>'id')) <= ${LONGEST_KEY}
  order by h.account, item->>'id', h.deleted, h.as_of desc, h.as_of_until desc, h.id, position desc
), known as (
  select h.account, c.id, h.id as ${PARENT_COLUMN}, c.data, c.deleted, ${of('h')},
    h.deleted or (jsonb_typeof(h.list->'data') = 'array' and h.list->'has_more' = 'false') as shows_all
  from held h, lateral (
    select c.id, c.data, c.deleted from ${child} c
    where c.${PARENT_COLUMN} = h.id and c.account || '' = h.account
    offset 0
  ) as c
), due as materialized (
  select ${['account', 'id', PARENT_COLUMN, 'data', ...version, 'event_id'].map(either).join(', ')},
    coalesce(s.deleted, true) as deleted, k.data as was, k.deleted as was_deleted
  from shown s full join known k on k.account = s.account and k.id = s.id
  where case when s.id is null then k.shows_all and not k.deleted
    else k.id is null or k.deleted <> s.deleted or k.${PARENT_COLUMN} <> s.${PARENT_COLUMN}
      or record_image_ne(row(k.data), row(s.data)) end
), put as (
  insert into ${child} as c (${columns})
  select ${columns} from due order by account, id
  on conflict (account, id) do update set
    ${['data', ...version, 'deleted', PARENT_COLUMN].map((column) => `${column} = excluded.${column}`).join(', ')}
  where c.${PARENT_COLUMN} is null or c.${PARENT_COLUMN} = excluded.${PARENT_COLUMN}
    or (not excluded.deleted and (c.deleted or excluded.as_of >= greatest(c.as_of, (
      select p.as_of from ${table(parent)} p where p.account = c.account and p.id = c.${PARENT_COLUMN}
    ))))
  returning c.account, c.id, c.as_of, c.xmax = '0' as is_new
), fed as (
  select d.account, d.id, d.event_id, d.data, d.deleted, put.as_of,
    coalesce(d.was, moved.data) as was, coalesce(d.was_deleted, moved.deleted) as was_deleted
  from put join due d on d.account = put.account and d.id = put.id left join lateral (
    select c.data, c.deleted from ${child} c
    where d.was is null and not put.is_new and c.account = d.account and c.id = d.id
    limit 1
  ) as moved on true
)
insert into stripe_sync.unnumbered_changes (account, object, id, event_id, kind, as_of, changed)
select f.account, ${escapeLiteral(object)}, f.id, f.event_id,
  ${changeKind('f.was_deleted', 'f.deleted')}, f.as_of, ${changedOf('f.was is null or f.was = f.data', wasObject, 'f.data')}
from fed f
where f.was is null or f.was <> f.data or f.was_deleted <> f.deleted
order by f.account, f.id`;
}

/** The body of the trigger's function, in which `new` and `old` are what the statement calls so. */
export function functionBody(embedding: Embedding): string {
  return `
#variable_conflict use_column
begin
  if exists (select from written) then
${embeddedRowsSql(embedding, 'written').replaceAll(/^/gm, '    ')};
  end if;
  return null;
end
`;
}

/**
 * For plans that outlive the size of what they were made for: no table is read as a whole, no sets are joined each row
 * with each, where there is another way; and nothing is worth compiling.
 */
export const FUNCTION_SETTINGS = { enable_seqscan: 'off', enable_nestloop: 'off', jit: 'off' } as const;

export function functionSql(embedding: Embedding): string {
  const name = `stripe_sync.${escapeIdentifier(functionName(embedding))}`;
  const settings = Object.entries(FUNCTION_SETTINGS).map(([setting, value]) => `set ${setting} = ${value}`);
  const about = `Keeps ${table(embedding.object)} equal to what ${table(embedding.parent)} holds in ${embedding.field}`;
  return [
    `create or replace function ${name}() returns trigger language plpgsql ${settings.join(' ')}`,
    `as ${escapeLiteral(functionBody(embedding))};`,
    `comment on function ${name}() is ${escapeLiteral(about)};`,
  ].join('\n');
}

/**
 * The statements that connect two tables. The comment on the column, which is set once the children of all parents are
 * there, says that they are.
 */
export function connectSql(embedding: Embedding): string {
  const child = table(embedding.object);
  return [
    // In the order in which a write takes them: the parent's table first.
    `lock table ${table(embedding.parent)} in share row exclusive mode;`,
    `alter table ${child} add column if not exists ${PARENT_COLUMN} text;`,
    `create index if not exists ${escapeIdentifier(indexName(embedding))} on ${child} (${PARENT_COLUMN});`,
    `comment on column ${child}.${PARENT_COLUMN} is null;`,
    ...TRIGGER_EVENTS.map(
      (event) =>
        `create or replace trigger ${escapeIdentifier(triggerName(embedding, event))} after ${event} ` +
        `on ${table(embedding.parent)} referencing new table as written for each statement ` +
        `execute function stripe_sync.${escapeIdentifier(functionName(embedding))}();`,
    ),
  ].join('\n');
}

export function connectedSql({ object, parent, field }: Embedding): string {
  const about = `Id of the ${parent} whose ${field} hold it, in ${table(parent)}`;
  return `comment on column ${table(object)}.${PARENT_COLUMN} is ${escapeLiteral(about)}`;
}

/**
 * A part of the parents, in the order of their keys, for those that were there before the triggers. Parameters 1 and 2
 * are account and id of the last parent of the part before.
 */
export function parentsSql({ parent }: Embedding): { readonly lock: string; readonly read: string } {
  return {
    /** Parameter 3: how many. */
    lock: `select account, id from ${table(parent)} where (account, id) > ($1, $2) order by account, id limit $3 for share`,
    /** Parameters 3 and 4 are account and id of the last one. */
    read: `(select * from ${table(parent)} where (account, id) > ($1, $2) and (account, id) <= ($3, $4))`,
  };
}
