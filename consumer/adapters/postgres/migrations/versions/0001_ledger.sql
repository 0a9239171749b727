-- The tables of DESIGN's words. Amounts are major units; fingerprints null = absent.

create table authorisation (
  id bigint generated always as identity primary key,
  client_id text not null unique,
  kind text not null check (kind in ('custom', 'consent')),
  secret bytea not null, -- encrypted; of an empty text where PKCE alone proves the client
  tokens bytea, -- encrypted: a consent's access and refresh token; null until somebody consents
  generation bigint not null default 0, -- of the tokens: whoever saves others raises it
  good_until timestamptz, -- the access token
  renewed_at timestamptz,
  claimed_until timestamptz, -- somebody renews the tokens; in the past: he never said how it ended
  parked_at timestamptz,
  parked_why text
);

create table tenant (
  id uuid primary key, -- Xero's; its row lock is the right to freeze
  authorisation_id bigint not null references authorisation,
  due_at timestamptz not null default 'infinity', -- when to look for work next
  blocked_until timestamptz,
  blocked_why text, -- throttled, day, unavailable, forbidden
  failures smallint not null default 0, -- 5xx in a row
  foreign_calls int not null default 0, -- others' calls that Xero's headers showed, until foreign_until
  foreign_until timestamptz,
  day_left int, -- Xero's word at day_left_at
  day_left_at timestamptz,
  organisation jsonb not null default '{}',
  chart_read_at timestamptz, -- when its accounts, items, tax rates and currencies were last read
  chart_try_at timestamptz -- not before; a pod that reads holds it off
);

create index tenant_due on tenant (greatest(due_at, blocked_until));

create table connection (
  id bigint generated always as identity primary key,
  organization_id uuid not null,
  code text not null unique,
  name text not null,
  tenant_id uuid not null references tenant,
  settings jsonb not null default '{}',
  revision bigint not null default 1,
  paused_at timestamptz,
  removed_at timestamptz
);

create index connection_organization on connection (organization_id);

create table configuration (
  only_row boolean primary key default true check (only_row),
  revision bigint not null default 1 -- raised by whoever changes connections, mappings or charts
);

insert into configuration default values;

create table mapping (
  id bigint generated always as identity primary key,
  connection_id bigint not null references connection,
  entity text not null default '',
  kind text not null,
  key text not null default '',
  item text,
  account text,
  tax_type text,
  set_by text not null,
  set_at timestamptz not null default now(),
  unset_at timestamptz
);

create unique index mapping_current on mapping (connection_id, entity, kind, key) where unset_at is null;

create table chart (
  tenant_id uuid not null references tenant,
  kind text not null, -- account, item, tax_rate, currency
  code text not null,
  facts jsonb not null,
  seen_at timestamptz not null default now(),
  gone_at timestamptz,
  primary key (tenant_id, kind, code)
);

create table event (
  id bigint generated always as identity primary key,
  digest bytea not null unique, -- SHA-256 of the value's bytes
  lago_key text,
  organization_id uuid,
  type text,
  kind text,
  lago_id uuid,
  outcome text not null, -- merged, dead
  code text,
  said text,
  hint text,
  topic text not null,
  partition int not null,
  "offset" bigint not null,
  appended_at timestamptz not null,
  received_at timestamptz not null default now(),
  redriven int not null default 0
);

create index event_dead on event (id) where outcome = 'dead';

create table event_raw (
  event_id bigint primary key references event on delete cascade,
  key bytea,
  value bytea,
  headers bytea -- JSON: [[name, base64 value or null], …]
);

create table object (
  kind text not null,
  lago_id uuid not null,
  organization_id uuid not null,
  customer_id uuid,
  invoice_ids uuid[] not null default '{}', -- what a payment pays, a credit note corrects
  connection_id bigint references connection, -- the home
  first_seen timestamptz not null default now(),
  event_id bigint, -- the last event that changed it
  facts json not null, -- not jsonb: the order of Lago's keys is kept
  lacking text, -- what Lago's API may tell of it: a customer's links, that a note's credit was voided
  primary key (kind, lago_id)
);

create index object_customer on object (customer_id);
-- Each batch asks it: a pending list would be read each time.
create index object_invoices on object using gin (invoice_ids) with (fastupdate = off) where invoice_ids <> '{}';
create index object_lacking on object (lago_id) where lacking is not null;

create table document (
  id bigint generated always as identity primary key,
  connection_id bigint references connection,
  tenant_id uuid references tenant,
  kind text not null,
  lago_id uuid not null,
  part text not null default '', -- residual, offset, clearing:<credit>; surplus:<Xero's id>: asked for by nobody
  target uuid, -- the invoice that a payment, what is beyond it or an allocation is for, or whose credit a refund clears
  source uuid, -- the credit note that an allocation or a refund takes from
  amount_cents bigint, -- of a payment, an allocation, a refund; Lago's subunits
  allocated uuid[], -- of an invoice: the credits that it, as sent, leaves to allocations; others are lines
  cleared jsonb, -- of an invoice: the credits that it, as sent, has as lines on the clearing account; their amounts
  customer_id uuid,
  event_id bigint, -- made the wanted version
  appended_at timestamptz,
  wanted bytea,
  sent bytea,
  synced bytea,
  step text not null generated always as (
    case when wanted is null then 'remove' when xero_id is null then 'create' else 'update' end) stored,
  state text not null check (state in ('waiting', 'ready', 'sending', 'synced', 'skipped', 'failed')),
  cause text,
  wait_until timestamptz,
  ready_at timestamptz,
  lane smallint not null default 0,
  attempts int not null default 0,
  batch_limit smallint, -- at most so many in its next batch, after a whole batch was refused
  suffix text not null default '', -- makes a contact's name unique
  drift boolean not null default false,
  code text,
  said text,
  hint text,
  failed_at timestamptz,
  xero_id uuid,
  linked boolean not null default false, -- of a contact: a person made it, or merged ours into it
  merged uuid[] not null default '{}', -- of a contact: those that were merged into it
  by_hand uuid, -- a payment that a person entered in Xero in its place
  number text,
  xero_status text,
  currency text,
  dated date,
  net numeric,
  tax numeric,
  total numeric,
  xero_net numeric,
  xero_tax numeric,
  xero_total numeric,
  xero_due numeric,
  accepted_at timestamptz,
  unique nulls not distinct (connection_id, kind, lago_id, part, target)
) with (fillfactor = 70);

create unique index document_xero on document (tenant_id, kind, xero_id) where kind <> 'contact';
create unique index document_by_hand on document (tenant_id, by_hand) where by_hand is not null;
create index document_ready on document (tenant_id, kind, step, lane, ready_at, id) where state = 'ready';
create index document_cause on document (cause, id) where cause is not null;
create index document_until on document (wait_until) where state = 'waiting' and wait_until is not null;
create index document_failed on document (id) where state = 'failed';
create index document_lago on document (lago_id);
create index document_number on document (number) where number is not null;
create index document_contact on document (tenant_id, xero_id) where kind = 'contact' and xero_id is not null;
create index document_customer on document (customer_id);
create index document_target on document (target) where target is not null;
create index document_source on document (source) where source is not null;
create index document_event on document (event_id);
-- What only a message of Lago's can help, which its API may be asked for; ``lacking_documents`` says the same.
create index document_lacking on document (id)
 where state in ('waiting', 'failed')
   and (code = 'tax_ambiguous' or cause like 'content:%' or cause like 'lago\_invoice:%' or cause like 'credit\_note:%'
        or cause like 'residual:%' or cause like 'split:%');

create table request (
  id uuid primary key, -- also the Idempotency-Key
  tenant_id uuid not null, -- no reference: apply calls before it stores
  purpose text not null, -- contact, invoice, lookup, chart, resend
  method text not null,
  path text not null,
  body bytea,
  started_at timestamptz not null default statement_timestamp(),
  deadline_at timestamptz not null,
  answered_at timestamptz,
  status int,
  outcome text, -- null while open; answered, not_executed, looked_up, dissolved
  look_at timestamptz, -- when an open one is looked at next
  looks smallint not null default 0, -- look-ups that told nothing
  resendable boolean not null default false,
  doubt text, -- why the outcome is unknown
  audit_at timestamptz, -- once in doubt: when to look whether Xero has more of it than the ledger
  said text, -- by Xero, about the whole request
  correlation text
);

create index request_budget on request (tenant_id, started_at) include (answered_at, deadline_at);
create index request_open on request (look_at) where outcome is null;
create index request_audit on request (audit_at) where audit_at is not null;
create index request_body on request (started_at) where body is not null and outcome is not null;
create index request_over on request (started_at, id) where look_at is null;

create table member (
  request_id uuid not null references request on delete cascade,
  position smallint not null,
  document_id bigint not null references document,
  sent bytea,
  outcome text, -- null while open; accepted, adopted, found, by_hand, refused, dissolved
  notes jsonb, -- what translation noticed of it, by class of finding
  code text, -- with said and hint: what Xero refused it with, while it is looked whether that is all
  said text,
  hint text,
  primary key (request_id, position)
);

create index member_document on member (document_id);

create table release (
  id bigint generated always as identity primary key,
  cause text not null,
  after bigint not null default 0, -- documents up to this id have been looked at
  page smallint not null default 100 -- documents a transaction; fewer once planning them failed
);

create table question (
  kind text not null, -- invoice, invoice_taxes, credit_note, credit_note_taxes, credit, customer, payments (of an invoice)
  lago_id uuid not null,
  organization_id uuid not null,
  asks int not null default 0,
  next_at timestamptz not null, -- not before; who asks holds it off
  last_error text,
  primary key (kind, lago_id)
);

create index question_due on question (organization_id, next_at);

create table outbox (
  id bigint generated always as identity primary key,
  sink text not null check (sink in ('dead_letter', 'webhook')),
  document_id bigint references document,
  event_id bigint, -- no reference: a document's failure is told also once its event was pruned
  connection_id bigint references connection,
  class text not null,
  code text not null,
  said text not null,
  hint text not null default '',
  created_at timestamptz not null default now(),
  next_at timestamptz not null default now(),
  attempts int not null default 0,
  last_error text,
  done_at timestamptz
);

create index outbox_due on outbox (sink, next_at) where done_at is null;
create index outbox_event on outbox (event_id) where event_id is not null;

create table finding (
  id bigint generated always as identity primary key,
  connection_id bigint references connection,
  document_id bigint references document,
  xero_id uuid,
  class text not null,
  facts jsonb not null default '{}',
  first_seen timestamptz not null default now(),
  closed_at timestamptz
);

create index finding_document on finding (document_id);
create index finding_closed on finding (id) where closed_at is not null;
create index finding_alarm on finding (connection_id) where document_id is null and closed_at is null;

create table job (
  id bigint generated always as identity primary key,
  kind text not null,
  args jsonb,
  cursor jsonb,
  result jsonb,
  started_at timestamptz not null default now(),
  ended_at timestamptz
);

create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  who text not null,
  action text not null,
  subject text not null,
  reason text
);
