-- name: subject
select c.code, c.id as connection_id, c.tenant_id, t.authorisation_id, coalesce(t.organisation ->> 'name', c.name) as organisation,
       t.organisation ->> 'short_code' as short_code,
       a.parked_at is not null or t.blocked_until = 'infinity' is true as parked,
       exists (select from document d
                where d.tenant_id = t.id and d.kind = 'overpayment' and coalesce(d.xero_id, d.by_hand) is not null) as overpayments
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.code = $1 and c.removed_at is null;

-- name: resume_run
-- The newest of the same connection and period, if it was cut off.
update job set args = $2::jsonb
 where id = (select id from job where kind = 'reconcile' and args ->> 'connection' = $1 and ended_at is null
                and args = $2::jsonb order by id desc limit 1)
returning id, now() as started_at;

-- name: begin_run
insert into job (kind, args) values ('reconcile', $1::jsonb) returning id, now() as started_at;

-- name: end_run
update job set ended_at = now(), result = $2::jsonb where id = $1;

-- name: reading
insert into mirrored (tenant_id, kind) values ($1, $2) on conflict do nothing;

-- name: lock_reading
select covers, read_at, reading_at, reading_since, reading_covers, reading_page, reading_items, now() as now
  from mirrored where tenant_id = $1 and kind = $2 for update;

-- name: begin_reading
update mirrored
   set reading_at = $3, reading_since = $4, reading_covers = $5, reading_page = 1, reading_items = 0
 where tenant_id = $1 and kind = $2;

-- name: next_page
-- Whoever else read the same page meanwhile has gone on already.
update mirrored set reading_page = $5, reading_items = $6
 where tenant_id = $1 and kind = $2 and reading_at = $3 and reading_page = $4;

-- name: end_reading
update mirrored
   set read_at = reading_at, covers = reading_covers, reading_at = null, reading_since = null, reading_covers = null,
       reading_page = null, reading_items = null
 where tenant_id = $1 and kind = $2 and reading_at = $3 and reading_page = $4
returning read_at;

-- name: forget_unseen
-- What a reading of everything did not show is not there.
delete from mirror where tenant_id = $1 and kind = $2 and dated >= $3 and seen_at < $4;

-- name: mirror
insert into mirror (tenant_id, kind, xero_id, number, contact_id, target_id, account, status, currency, dated, due_on,
                    net, tax, total, paid, credited, due, allocations, updated_at)
select $1, * from unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
                         $10::date[], $11::date[], $12::numeric[], $13::numeric[], $14::numeric[], $15::numeric[],
                         $16::numeric[], $17::numeric[], $18::jsonb[], $19::timestamptz[])
on conflict (tenant_id, kind, xero_id) do update
   set number = excluded.number, contact_id = excluded.contact_id, target_id = excluded.target_id,
       account = excluded.account, status = excluded.status, currency = excluded.currency, dated = excluded.dated,
       due_on = excluded.due_on, net = excluded.net, tax = excluded.tax, total = excluded.total, paid = excluded.paid,
       credited = excluded.credited, due = excluded.due, allocations = excluded.allocations,
       updated_at = excluded.updated_at, seen_at = now();

-- name: read_at
select kind, read_at from mirrored where tenant_id = $1 and read_at is not null;

-- name: dated
-- The connection's documents of the period, also those that only Xero dates into it. What was left out and
-- never posted is nothing to compare.
select id from document
 where connection_id::text = $1::bigint::text and coalesce(dated, (appended_at at time zone 'UTC')::date) between $2 and $3
   and kind <> 'contact' and not (state = 'skipped' and xero_id is null)
 union
select d.id
  from mirror m
  join document d on d.tenant_id = m.tenant_id and d.xero_id = m.xero_id and d.kind <> 'contact'
                 and d.kind = any(case m.kind when 'payment' then array['payment', 'refund'] else array[m.kind] end)
 where m.tenant_id = $4 and m.dated between $2 and $3 and d.connection_id = $1
 order by id;

-- name: attached
-- Payments, refunds and allocations on these invoices, of these notes, by Lago's ids.
select id from document
 where connection_id = $1 and (target = any($2::uuid[]) or source = any($2::uuid[]))
   and not (state = 'skipped' and xero_id is null);

-- name: whole
-- These invoices and credit notes, by Lago's ids.
select id from document where connection_id = $1 and lago_id = any($2::uuid[]) and kind in ('invoice', 'credit_note');

-- name: entries
-- ``offset 0``: each object by its key, however few the statistics know of its kind.
select d.id, d.kind, d.state, d.lago_id, d.part, d.target, d.source, d.customer_id, d.number, d.cause, d.code, d.said,
       d.hint, d.wanted is not null as wanted, d.synced is not null as posted, d.drift, d.xero_id, d.by_hand,
       d.xero_status as status, d.currency, d.dated, o.facts #>> '{content,1,payment_due_date}' as due_on,
       d.net, d.tax, d.total,
       case when d.kind in ('invoice', 'credit_note') then o.facts #>> '{content,1,total_amount_cents}'
            else d.amount_cents::text end as lago_cents, d.xero_net, d.xero_tax, d.xero_total, d.failed_at, d.appended_at,
       exists (select from member m join request r on r.id = m.request_id
                where m.document_id = d.id and coalesce(r.answered_at, r.started_at) >= $2) as moved,
       (select sum((f.facts ->> 'amount')::numeric) from finding f
         where f.document_id = d.id and f.class in ('fallback_used', 'prepaid_on_fallback') and f.closed_at is null)
       as fallback
  from document d
  left join lateral (select facts from object where d.kind in ('invoice', 'credit_note') and kind = d.kind and lago_id = d.lago_id
                     offset 0) o on true
 where d.id = any($1::bigint[]) order by d.id;

-- name: shown_in
select xero_id from mirror where tenant_id = $1 and dated between $2 and $3;

-- name: shown_on
select xero_id from mirror where tenant_id = $1 and kind = 'payment' and target_id = any($2::uuid[]);

-- name: shown
select m.kind, m.xero_id, m.number, m.contact_id, m.target_id, m.account, m.status, m.currency, m.dated, m.due_on,
       m.net, m.tax, m.total, m.paid, m.credited, m.due, m.allocations::text as allocations, m.updated_at,
       coalesce((select min(d.id) from document d
                  where d.tenant_id = m.tenant_id and d.xero_id = m.xero_id and d.kind <> 'contact'
                    and d.kind = any(case m.kind when 'payment' then array['payment', 'refund'] else array[m.kind] end)),
                (select d.id from document d
                  where d.tenant_id = m.tenant_id and d.by_hand = m.xero_id)) as holder,
       exists (select from document t
                where t.tenant_id = m.tenant_id and t.kind in ('invoice', 'credit_note') and t.xero_id = m.target_id
                  and t.connection_id = $3) as on_ours
  from mirror m where m.tenant_id = $1 and m.xero_id = any($2::uuid[]);

-- name: contacts
-- Every contact that has been a customer's, also those that he has left and those that were merged.
select d.lago_id as customer_id, d.xero_id, d.merged,
       array(select f.xero_id from finding f
              where f.document_id = d.id and f.xero_id is not null
                and f.class in ('linked_elsewhere', 'contact_merged')) as former
  from document d
 where d.connection_id = $1 and d.kind = 'contact' and (d.xero_id is not null or d.merged <> '{}');

-- name: accounts
select distinct account from mapping
 where connection_id = $1 and account is not null and kind in ('payment_account', 'refund_account', 'clearing_account');

-- name: unsent
-- Documents of any connection of the tenant that have one of these numbers and are not in Xero.
select kind, lower(number) as number from document
 where tenant_id = $1 and number = any($2::text[]) and xero_id is null;

-- name: held
-- Objects of a kind, with the first document of each.
select o.kind, o.lago_id, o.organization_id, o.customer_id, o.connection_id, o.first_seen, o.event_id, o.invoice_ids,
       o.facts::text as facts, d.id as document_id, d.xero_id
  from object o
  left join lateral (select id, xero_id from document
                      where lago_id = o.lago_id and kind = o.kind and part = '' order by id limit 1) d on true
 where o.kind = $1 and o.lago_id = any($2::uuid[]);

-- name: paying
-- The payments on these invoices; ``offset 0`` as in inbox.sql's ``family``.
select distinct on (o.lago_id) o.kind, o.lago_id, o.organization_id, o.customer_id, o.connection_id, o.first_seen,
       o.event_id, o.invoice_ids, o.facts::text as facts
  from unnest($1::uuid[]) as i (id)
 cross join lateral (select * from object
                      where invoice_ids @> array[i.id] and invoice_ids <> '{}' and kind = 'payment' offset 0) o
 order by o.lago_id;

-- name: open
select id, class, document_id, xero_id, facts ->> 'lago_id' as lago_id, first_seen, facts ->> 'dated' as dated,
       facts ? 'tried' as tried
  from finding where connection_id = $1 and closed_at is null and class = any($2::text[]);

-- name: raise
insert into finding (connection_id, document_id, xero_id, class, facts)
select $1, u.document_id, u.xero_id, u.class, u.facts
  from unnest($2::bigint[], $3::uuid[], $4::text[], $5::jsonb[]) as u (document_id, xero_id, class, facts)
returning class, document_id, xero_id, facts ->> 'lago_id' as lago_id, first_seen;

-- name: tried
-- What no document is of, by Lago's id.
update finding set facts = facts || '{"tried": true}'
 where connection_id = $1 and closed_at is null and class = any($2::text[])
   and (document_id = any($3::bigint[]) or document_id is null and facts ->> 'lago_id' = any($4::text[]));

-- name: refresh
-- Only where Xero showed what was sent; whoever settles the document meanwhile knows better.
update document d
   set xero_net = coalesce(m.net, d.xero_net), xero_tax = coalesce(m.tax, d.xero_tax),
       xero_total = coalesce(m.total, d.xero_total)
  from mirror m
 where d.id = any($1::bigint[]) and d.state = 'synced' and m.tenant_id = d.tenant_id and m.xero_id = d.xero_id
   and m.kind = case d.kind when 'refund' then 'payment' else d.kind end and m.total is not distinct from d.total
returning d.id;

-- name: close_totals_differ
update finding set closed_at = now()
 where document_id = any($1::bigint[]) and class = 'totals_differ' and closed_at is null;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, 'reconcile', $2, $3);

-- name: count_share
-- Of the day, and when the oldest of them ends to count.
select count(*) as calls,
       extract(epoch from min(started_at) + $3::interval - statement_timestamp())::float as wait
  from request where tenant_id = $1 and purpose = $2 and started_at > statement_timestamp() - $3::interval;
