create table stripe_sync.changes (
  sequence bigint generated always as identity primary key,
  account text not null,
  object text not null,
  id text not null,
  event_id text,
  kind text not null constraint changes_kind_check check (kind in ('created', 'updated', 'deleted')),
  as_of timestamptz not null,
  changed text[] not null,
  recorded_at timestamptz not null default clock_timestamp(),
  transaction xid8 not null default pg_current_xact_id()
);

-- A page of the feed's end is full of rows of one time, so a block range is all that pruning needs.
create index changes_recorded_at on stripe_sync.changes using brin (recorded_at);

comment on table stripe_sync.changes is
  'The change feed: one row for each change of a row in an object table, written in the same transaction. Follow it through stripe_sync.settled_changes.';
comment on column stripe_sync.changes.sequence is 'Number of the change; given out before the commit, so a lower one can appear after a higher one';
comment on column stripe_sync.changes.account is 'Alias of the account';
comment on column stripe_sync.changes.object is 'Kind of the changed object, such as customer';
comment on column stripe_sync.changes.id is 'Id of the row in the object''s table';
comment on column stripe_sync.changes.event_id is 'The event whose state the row took; null where a listing or a read brought it';
comment on column stripe_sync.changes.kind is 'created, updated or deleted, as the table saw it';
comment on column stripe_sync.changes.as_of is 'as_of of the row after the change, on Stripe''s clock';
comment on column stripe_sync.changes.changed is 'Top-level keys of data whose values changed';
comment on column stripe_sync.changes.recorded_at is 'When it was written, on PostgreSQL''s clock';
comment on column stripe_sync.changes.transaction is 'The transaction that made the change';

-- Sequence numbers are given out before the commit. A follower who remembers the highest that it saw would skip
-- what commits later with a lower one, for ever; here a change shows only when none can come before it any more.
create view stripe_sync.settled_changes as
select sequence, account, object, id, event_id, kind, as_of, changed, recorded_at
from stripe_sync.changes
where transaction < pg_snapshot_xmin(pg_current_snapshot());

comment on view stripe_sync.settled_changes is
  'The change feed for followers: select ... where sequence > LAST order by sequence skips nothing.';

-- A change that cannot be applied keeps its last error while it is tried again, and when it is parked.
create index events_failing on stripe_sync.events (account, created) where error is not null and (outcome is null or outcome = 'parked');
