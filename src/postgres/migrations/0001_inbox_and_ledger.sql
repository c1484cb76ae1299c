create table stripe_sync.accounts (
  account text primary key,
  stripe_account text,
  api_version text,
  cursor_id text,
  cursor_created timestamptz,
  lag_seconds integer,
  fetch_id text,
  backfilled_at timestamptz,
  updated_at timestamptz not null default now()
);

comment on table stripe_sync.accounts is
  'One row per synced account: a copy of where its workflow is, for a start after a stop. While the workflow runs, its own state rules.';
comment on column stripe_sync.accounts.account is 'Alias of the account, as in stripe-sync start ALIAS';
comment on column stripe_sync.accounts.stripe_account is 'Connected account (acct_…) that is read with the key of its platform; null: the account of the key';
comment on column stripe_sync.accounts.api_version is 'Stripe API version that objects are read in';
comment on column stripe_sync.accounts.cursor_id is 'Event up to which everything was seen and has settled';
comment on column stripe_sync.accounts.cursor_created is 'When that event was created, on Stripe''s clock; without a cursor: where to begin';
comment on column stripe_sync.accounts.lag_seconds is 'How far the cursor stays behind Stripe''s clock, so that events that surface late are not missed';
comment on column stripe_sync.accounts.fetch_id is 'The newest fetch: the only one that may claim events (a fence against attempts that were given up and still run)';
comment on column stripe_sync.accounts.backfilled_at is 'When a backfill of the account was last completed; null: never';
comment on column stripe_sync.accounts.updated_at is 'When this row was last written';

create table stripe_sync.events (
  account text not null,
  id text not null,
  type text not null,
  created timestamptz not null,
  object text,
  object_id text,
  api_version text,
  event jsonb not null,
  source text not null constraint events_source_check check (source in ('poll', 'webhook', 'rescan')),
  seen_at timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  claimed_by text,
  claimed_at timestamptz,
  applied_at timestamptz,
  attempts integer not null default 0,
  error text,
  outcome text constraint events_outcome_check
    check (outcome in ('applied', 'stale', 'fetched', 'ignored', 'parked')),
  primary key (account, id)
) with (
  -- A row is claimed, then settled. Room on its page keeps the first of the two out of the indexes, and a
  -- payload over 2 kB goes out of line, so that both copy a pointer (measured: a fifth to a third less WAL).
  fillfactor = 85,
  toast_tuple_target = 256,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.02
);

-- What waits, oldest first. It holds few rows, whatever the ledger's size.
create index events_pending on stripe_sync.events (account, created, id) where outcome is null;
create index events_entity on stripe_sync.events (account, object, object_id, created);
create index events_created on stripe_sync.events (account, created);
create index events_outcome on stripe_sync.events (account, outcome);

comment on table stripe_sync.events is
  'Inbox, ledger and audit log in one: each event that Stripe listed or delivered, once, and what became of it.';
comment on column stripe_sync.events.account is 'Alias of the account';
comment on column stripe_sync.events.id is 'Stripe''s id of the event (evt_…); not in order of time';
comment on column stripe_sync.events.type is 'Event type, such as customer.updated';
comment on column stripe_sync.events.created is 'When Stripe created the event, in whole seconds of its clock';
comment on column stripe_sync.events.object is 'Kind of the changed object, such as customer; null where the event carries none';
comment on column stripe_sync.events.object_id is 'Id of the row in the object''s table';
comment on column stripe_sync.events.api_version is 'API version that the payload is rendered in';
comment on column stripe_sync.events.event is 'The event as Stripe sent it';
comment on column stripe_sync.events.source is 'Who saw it first: poll (the walk from the cursor), webhook, or rescan (listed again, later)';
comment on column stripe_sync.events.seen_at is 'When it was first seen, on Stripe''s clock; minus created: how late it surfaced';
comment on column stripe_sync.events.recorded_at is 'When this row was written, on PostgreSQL''s clock';
comment on column stripe_sync.events.claimed_by is 'The fetch that hands it on; null: free';
comment on column stripe_sync.events.claimed_at is 'When it was claimed, on PostgreSQL''s clock';
comment on column stripe_sync.events.applied_at is 'When it got its outcome, on PostgreSQL''s clock';
comment on column stripe_sync.events.attempts is 'How often applying it was tried';
comment on column stripe_sync.events.error is 'Why it was ignored or parked, or why the last attempt failed';
comment on column stripe_sync.events.outcome is
  'Null while pending; applied; stale (a newer state was there already); fetched (the object was read from Stripe instead); ignored (see error); parked (failed for good, see error: stripe-sync retry)';

create table stripe_sync.reads (
  account text not null,
  hour timestamptz not null,
  reads bigint not null default 0,
  primary key (account, hour)
);

comment on table stripe_sync.reads is
  'Requests made to Stripe per account and hour, against its read allocation over a rolling 30 days.';
comment on column stripe_sync.reads.account is 'Alias of the account';
comment on column stripe_sync.reads.hour is 'Beginning of the hour, on PostgreSQL''s clock';
comment on column stripe_sync.reads.reads is 'Requests in that hour';
