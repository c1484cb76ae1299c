-- Numbers are given out at the end of a transaction, under a lock that it keeps until its commit is visible. So they
-- follow the order of the commits: whoever sees a number sees all that are lower, whatever order the transactions
-- began in. Transaction ids could not tell that: they are given out at the first write, and another cluster, into
-- which the database is restored, counts its own.

-- The view and its table at once, in the order in which followers take them.
lock table stripe_sync.settled_changes in access exclusive mode;

create function stripe_sync.hold_change_numbers() returns trigger language plpgsql as $$
begin
  -- Pages of a backfill come here hundreds of times a second. Where the processors are busy, a lock that is handed to
  -- the first in its queue lies idle until that one has woken up; whoever is awake makes better use of it.
  for attempt in 1..20 loop
    if pg_try_advisory_xact_lock(hashtext('stripe_sync.changes'), 0) then
      return null;
    end if;
    perform pg_sleep(0.001);
  end loop;
  perform pg_advisory_xact_lock(hashtext('stripe_sync.changes'), 0);
  return null;
end
$$;

comment on function stripe_sync.hold_change_numbers() is
  'Lets one transaction at a time number its changes. The lock is the last that a transaction takes: behind it nobody waits for anything but a commit.';

-- Before the first row, and so before its number, whoever writes it: a worker of an earlier version, too.
create trigger changes_in_order before insert on stripe_sync.changes
for each statement execute function stripe_sync.hold_change_numbers();

create or replace view stripe_sync.settled_changes as
select sequence, account, object, id, event_id, kind, as_of, changed, recorded_at
from stripe_sync.changes;

alter table stripe_sync.changes drop column transaction;

comment on column stripe_sync.changes.sequence is
  'Number of the change, in the order of the commits: once one shows, no lower one appears any more. Some are left out';
comment on column stripe_sync.changes.recorded_at is
  'When it got its number, which is the end of its transaction, on PostgreSQL''s clock';

-- A row is here only while its transaction runs, so a crash of the server leaves nothing that would have to be kept.
create unlogged table stripe_sync.unnumbered_changes (
  transaction xid8 not null default pg_current_xact_id(),
  place bigint generated always as identity,
  account text not null,
  object text not null,
  id text not null,
  event_id text,
  kind text not null,
  as_of timestamptz not null,
  changed text[] not null,
  primary key (transaction, place)
);

comment on table stripe_sync.unnumbered_changes is
  'Changes of transactions under way, until stripe_sync.number_changes() at their end moves them to stripe_sync.changes: handlers may take seconds before that, and nobody is to wait for them.';
comment on column stripe_sync.unnumbered_changes.transaction is 'The transaction that made the change';
comment on column stripe_sync.unnumbered_changes.place is 'Order of the changes within their transaction';
comment on column stripe_sync.unnumbered_changes.account is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.object is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.id is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.event_id is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.kind is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.as_of is 'As in stripe_sync.changes';
comment on column stripe_sync.unnumbered_changes.changed is 'As in stripe_sync.changes';

create function stripe_sync.number_changes() returns void language plpgsql as $$
declare
  last bigint;
begin
  if not exists (select from stripe_sync.unnumbered_changes where transaction = pg_current_xact_id()) then
    return;
  end if;
  with mine as (
    delete from stripe_sync.unnumbered_changes where transaction = pg_current_xact_id() returning *
  ), numbered as (
    insert into stripe_sync.changes (account, object, id, event_id, kind, as_of, changed)
    select account, object, id, event_id, kind, as_of, changed from mine order by place
    returning sequence
  )
  select max(sequence) into last from numbered;
  perform pg_notify('stripe_sync_changes', last::text);
end
$$;

comment on function stripe_sync.number_changes() is
  'Numbers the changes of this transaction, in their order, and tells whoever listens to stripe_sync_changes the last number. The last statement before COMMIT: all others wait until then.';
