create table stripe_sync.audits (
  account text not null,
  number integer not null,
  run text not null,
  started_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  window_from timestamptz not null,
  window_to timestamptz not null,
  types text[],
  heal boolean not null,
  state text not null default 'running'
    constraint audits_state_check check (state in ('running', 'done', 'failed', 'cancelled')),
  reason text,
  result jsonb,
  primary key (account, number),
  unique (account, run)
);

-- What an audit works on. It goes when the audit ends; the result stays.
create table stripe_sync.audit_pages (
  account text not null,
  number integer not null,
  object text not null,
  ids text[] not null,
  foreign key (account, number) references stripe_sync.audits on delete cascade
);
create index audit_pages_object on stripe_sync.audit_pages (account, number, object);

create table stripe_sync.audit_differences (
  account text not null,
  number integer not null,
  object text not null,
  id text not null,
  kind text not null
    constraint audit_differences_kind_check check (kind in ('missing', 'stale', 'extra', 'pending', 'parked', 'cut')),
  state text not null default 'open'
    constraint audit_differences_state_check check (state in ('open', 'differs', 'unverified', 'healed', 'unhealed')),
  looks integer not null default 0,
  reads integer not null default 0,
  found text constraint audit_differences_found_check check (found in ('object', 'gone')),
  digest text,
  read_as_of timestamptz,
  read_until timestamptz not null,
  looked_at timestamptz,
  keys text[] not null default '{}',
  note text,
  primary key (account, number, object, id),
  foreign key (account, number) references stripe_sync.audits on delete cascade
);
create index audit_differences_open on stripe_sync.audit_differences (account, number, looks) where state = 'open';

comment on table stripe_sync.audits is
  'Comparisons of Stripe with the tables and the ledger: one row each, with what they found.';
comment on column stripe_sync.audits.account is 'Alias of the account';
comment on column stripe_sync.audits.number is 'Number of the audit within its account';
comment on column stripe_sync.audits.run is 'Temporal''s id of the run that makes it';
comment on column stripe_sync.audits.started_at is 'On PostgreSQL''s clock';
comment on column stripe_sync.audits.ended_at is 'On PostgreSQL''s clock; null while under way';
comment on column stripe_sync.audits.window_from is 'Events that were created from then on are compared with the ledger; on Stripe''s clock';
comment on column stripe_sync.audits.window_to is 'Up to then, on Stripe''s clock';
comment on column stripe_sync.audits.types is 'Stripe''s names of the types that were asked for; null: all that have a list of their own';
comment on column stripe_sync.audits.heal is 'Whether what differed was to be repaired';
comment on column stripe_sync.audits.state is 'running, done, failed or cancelled';
comment on column stripe_sync.audits.reason is 'Why it failed';
comment on column stripe_sync.audits.result is 'Counts per type, and the first differences of each: ids and names of keys, never values';

comment on table stripe_sync.audit_pages is 'The objects that the pages of an audit under way have shown.';
comment on column stripe_sync.audit_pages.account is 'Alias of the account';
comment on column stripe_sync.audit_pages.number is 'Number of the audit';
comment on column stripe_sync.audit_pages.object is 'Stripe''s name of the type';
comment on column stripe_sync.audit_pages.ids is 'Ids of the rows that these objects belong to';

comment on table stripe_sync.audit_differences is
  'What looks different in an audit under way, until it is certain: most of it is explained by changes on their way.';
comment on column stripe_sync.audit_differences.account is 'Alias of the account';
comment on column stripe_sync.audit_differences.number is 'Number of the audit';
comment on column stripe_sync.audit_differences.object is 'Stripe''s name of the type; event for an event of the ledger';
comment on column stripe_sync.audit_differences.id is 'Id of the row, or of the event';
comment on column stripe_sync.audit_differences.kind is
  'missing (no row), stale (another state), extra (Stripe has it no more), cut (the list did not show all of it); of events: missing, pending, parked';
comment on column stripe_sync.audit_differences.state is
  'open (to be looked at again), differs, unverified (it could not be looked at again), healed, unhealed';
comment on column stripe_sync.audit_differences.looks is 'How often its row was looked at again';
comment on column stripe_sync.audit_differences.reads is 'How often it was read from Stripe by itself';
comment on column stripe_sync.audit_differences.found is 'What Stripe said last: object or gone; null: nothing yet';
comment on column stripe_sync.audit_differences.digest is 'Digest of the state that Stripe showed last';
comment on column stripe_sync.audit_differences.read_as_of is 'From when on that state was certainly current, on Stripe''s clock; of an event: its created';
comment on column stripe_sync.audit_differences.read_until is 'Until when, on Stripe''s clock';
comment on column stripe_sync.audit_differences.looked_at is 'When its row was last looked at, on Stripe''s clock; the next look comes the lag later';
comment on column stripe_sync.audit_differences.keys is 'Top-level keys whose values differ';
comment on column stripe_sync.audit_differences.note is 'What else there is to say, in words';
