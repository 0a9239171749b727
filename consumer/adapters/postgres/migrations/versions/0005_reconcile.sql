-- What Xero showed when it was last read. It can be read again at any time: nothing rests on it.
create table mirror (
  tenant_id uuid not null references tenant,
  kind text not null, -- invoice, credit_note, payment (refunds as well), overpayment
  xero_id uuid not null,
  number text, -- of a payment or an overpayment: our marker, nothing that a person wrote
  contact_id uuid,
  target_id uuid, -- the invoice or credit note that a payment is on
  account text, -- of a payment
  status text,
  currency text,
  dated date,
  due_on date,
  net numeric,
  tax numeric,
  total numeric,
  paid numeric,
  credited numeric,
  due numeric, -- AmountDue, RemainingCredit
  allocations jsonb, -- of a credit note: [{invoice, amount, id}, …]
  updated_at timestamptz, -- by Xero
  seen_at timestamptz not null default now(),
  primary key (tenant_id, kind, xero_id)
);

create index mirror_dated on mirror (tenant_id, dated);
create index mirror_target on mirror (tenant_id, target_id) where target_id is not null;

create table mirrored (
  tenant_id uuid not null references tenant,
  kind text not null,
  covers date, -- all that is dated from this day on is mirrored
  read_at timestamptz, -- as of then
  reading_at timestamptz, -- when the reading began that is not complete; null: there is none
  reading_since timestamptz, -- it asks what changed since then; null: for everything from reading_covers on
  reading_covers date,
  reading_page int, -- the next one
  reading_items int, -- that its pages had together, when the last one was read
  primary key (tenant_id, kind)
);

-- Only for whoever asks for days: written so that no other query takes it to look through a whole connection
-- while Postgres knows nothing of how many documents there are.
create index document_dated on document ((connection_id::text), (coalesce(dated, (appended_at at time zone 'UTC')::date)));
