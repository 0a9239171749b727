-- name: known
select digest from event where digest = any($1::bytea[]) and outcome <> 'dead';

-- name: now
select now() as now, revision from configuration;

-- name: insert_events
-- A dead event that comes again is decoded again, and only then touched; it stays as old as it was. How often
-- in a row it was dead for the same reason is counted.
insert into event (digest, lago_key, organization_id, type, kind, lago_id, outcome, code, said, hint,
                   topic, partition, "offset", appended_at)
select * from unnest($1::bytea[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $13::bigint[],
                     $14::timestamptz[])
on conflict (digest) do update
   set outcome = excluded.outcome, code = excluded.code, said = excluded.said, hint = excluded.hint,
       type = excluded.type, kind = excluded.kind, lago_id = excluded.lago_id,
       organization_id = excluded.organization_id, redriven = case when event.code = excluded.code then event.redriven + 1 else 1 end
 where event.outcome = 'dead'
returning id, digest, redriven, appended_at;

-- name: insert_raw
insert into event_raw (event_id, key, value, headers)
select * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])
on conflict do nothing;

-- name: lock_objects
select o.kind, o.lago_id, o.organization_id, o.customer_id, o.connection_id, o.first_seen, o.event_id,
       o.invoice_ids, o.facts::text as facts
  from object o
  join unnest($1::text[], $2::uuid[]) as k (kind, lago_id) using (kind, lago_id)
 order by o.kind, o.lago_id
   for update of o;

-- name: family
-- What pays or corrects these invoices; ``offset 0`` as in ``unmet``.
select o.kind, o.lago_id
  from unnest($1::uuid[]) as i (id)
 cross join lateral (select kind, lago_id from object
                      where invoice_ids @> array[i.id] and invoice_ids <> '{}' offset 0) o;

-- name: insert_objects
insert into object (kind, lago_id, organization_id, customer_id, connection_id, event_id, facts, invoice_ids,
                    lacking)
select kind, lago_id, organization_id, customer_id, connection_id, event_id, facts, invoice_ids::uuid[], lacking
  from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::json[], $8::text[],
              $9::text[])
       as u (kind, lago_id, organization_id, customer_id, connection_id, event_id, facts, invoice_ids, lacking)
on conflict do nothing
returning 1;

-- name: update_objects
update object o
   set customer_id = u.customer_id, connection_id = u.connection_id, event_id = u.event_id, facts = u.facts,
       invoice_ids = u.invoice_ids::uuid[], lacking = u.lacking
  from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::json[], $8::text[],
              $9::text[])
       as u (kind, lago_id, organization_id, customer_id, connection_id, event_id, facts, invoice_ids, lacking)
 where o.kind = u.kind and o.lago_id = u.lago_id;

-- name: contacts
select lago_id, array_agg(connection_id) as connections from document
 where kind = 'contact' and lago_id = any($1::uuid[]) and connection_id is not null group by lago_id;

-- name: unvoided
-- Invoices whose void Xero refused, or we did, also where a person lets it be so: whoever settles one meanwhile waits for us.
select lago_id from document
 where kind = 'invoice' and lago_id = any($1::uuid[]) and wanted is null and xero_id is not null
   and (state = 'failed' or cause like 'ignored:%')
   for share;

-- name: money_in_xero
-- The money on these invoices and beyond them, and whether Xero has it or may have: nobody freezes any
-- of it until we have planned.
select d.lago_id, d.target, d.kind, d.amount_cents,
       d.xero_id is not null or d.synced is not null or d.state = 'sending' as there
  from document d
 where d.target = any($1::uuid[]) and d.kind in ('payment', 'overpayment') and d.part not like 'surplus:%'
 order by d.id
   for share of d;

-- name: placed
-- How these invoices have the credits that they consume, as Xero was asked for them; who freezes one leaves
-- it out until we are done. ``offset 0`` as in ``unmet``.
select d.lago_id, d.allocated, d.cleared::text as cleared,
       -- what a draft leaves to allocations is decided once it is sent for good
       d.allocated is not null
       and (d.state = 'sending'
            or d.xero_id is not null and coalesce(d.xero_status, '') not in ('DRAFT', 'SUBMITTED')) as frozen
  from document d
 where d.id = any(array(select f.id from unnest($1::uuid[]) as i (id) cross join lateral (
                          select id from document
                           where kind = 'invoice' and lago_id = i.id
                          offset 0) f))
 order by d.id
   for share of d;

-- name: notes_there
-- Which of these credit notes Xero has, or may have. ``offset 0`` as in ``unmet``.
select d.lago_id, d.connection_id
  from unnest($1::uuid[]) as n (id)
 cross join lateral (select lago_id, connection_id, xero_id, state from document
                      where kind = 'credit_note' and lago_id = n.id and part = '' and target is null
                     offset 0) d
 where d.connection_id is not null and (d.state = 'sending' or d.xero_id is not null and d.state <> 'skipped');

-- name: lock_documents
-- ``offset 0`` as in ``unmet``.
select d.id, d.connection_id, d.kind, d.lago_id, d.part, d.target, d.state, d.cause, d.wait_until, d.wanted,
       d.synced, d.xero_id, d.xero_status, d.drift, d.number, d.amount_cents, d.by_hand, d.code, d.linked, d.merged
  from document d
 where d.id = any(array(select f.id from unnest($1::text[], $2::uuid[]) as k (kind, lago_id) cross join lateral (
                          select id from document where kind = k.kind and lago_id = k.lago_id offset 0) f))
 order by d.id
   for update of d;

-- name: insert_documents
insert into document (connection_id, tenant_id, kind, lago_id, customer_id, event_id, appended_at, wanted,
                      synced, state, cause, wait_until, xero_id, number, currency, dated, part, target, source,
                      amount_cents, linked, told_at, lane, ready_at)
select u.*, coalesce(u.appended_at, now()), coalesce($22::smallint, 0), case when u.state = 'ready' then now() end
  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::timestamptz[],
              $8::bytea[], $9::bytea[], $10::text[], $11::text[], $12::timestamptz[], $13::uuid[],
              $14::text[], $15::text[], $16::date[], $17::text[], $18::uuid[], $19::uuid[], $20::bigint[],
              $21::boolean[])
       as u (connection_id, tenant_id, kind, lago_id, customer_id, event_id, appended_at, wanted, synced, state,
             cause, wait_until, xero_id, number, currency, dated, part, target, source, amount_cents, linked)
returning id, kind, part, state;

-- name: update_documents
-- A document that is being sent keeps its state: only what is wanted of it is raised. The number, the day
-- and the amount stay those under which Xero was asked, or has it. What waits for its turn goes to the better
-- lane of both.
update document d
   set connection_id = u.connection_id, tenant_id = u.tenant_id, customer_id = u.customer_id,
       event_id = coalesce(u.event_id, d.event_id), appended_at = coalesce(u.appended_at, d.appended_at),
       wanted = u.wanted, synced = u.synced, xero_id = u.xero_id,
       currency = case when d.xero_id is not null then d.currency else u.currency end,
       number = case when d.state = 'sending' or d.xero_id is not null then d.number else u.number end,
       dated = case when d.state = 'sending' or d.xero_id is not null then d.dated else u.dated end, source = u.source,
       amount_cents = case when d.state = 'sending' or d.xero_id is not null or d.by_hand is not null and u.state = 'synced'
                           then d.amount_cents else u.amount_cents end,
       state = u.state, cause = u.cause, wait_until = u.wait_until, drift = u.drift,
       by_hand = case when u.state = 'synced' then d.by_hand end,
       linked = u.linked, merged = u.merged::uuid[],
       lane = case when d.state in ('waiting', 'ready', 'sending') then least(d.lane, $21::smallint)
                   else coalesce($21::smallint, d.lane) end,
       ready_at = case when u.state = 'ready' then now() else d.ready_at end,
       attempts = case when u.state = 'ready' then 0 else d.attempts end,
       code = case when u.state = 'failed' then d.code end,
       said = case when u.state = 'failed' then d.said end,
       hint = case when u.state = 'failed' then d.hint end
  from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[],
              $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::timestamptz[], $12::uuid[],
              $13::text[], $14::text[], $15::date[], $16::boolean[], $17::uuid[], $18::bigint[],
              $19::boolean[], $20::text[])
       as u (id, connection_id, tenant_id, customer_id, event_id, appended_at, wanted, synced, state,
             cause, wait_until, xero_id, number, currency, dated, drift, source, amount_cents, linked, merged)
 where d.id = u.id;

-- name: needing
-- Of these documents, those that are ready but for others, as ``unmet`` takes them.
select id, connection_id, kind, customer_id, target, source, lago_id from document
 where id = any($1::bigint[]) and kind <> 'contact' and state = 'ready' and wanted is not null;

-- name: unmet
-- Of documents, written or about to be, those that have to wait for others or are left out with them: an
-- invoice, a credit note and an overpayment need their contact, and one that is not archived, what pays or allocates
-- its invoice and its credit note; a credit note waits for the invoice that it corrects while that is a draft in Xero, which
-- meets no need. Left out with one of them, nothing waits for another; nor for a draft that a void left a draft: its
-- notes are the customer's credit all the same, as those of a draft that is deleted are.
-- Whoever writes a cause holds the cause's row and reads it again: one that is settled meanwhile either
-- shows its Xero id here, or its settlement waits for us and then finds the cause. (``offset 0``: each is
-- looked up by index, also while nobody has counted the table.)
with need as materialized (
  select d.id, d.connection_id, n.rank, n.kind, n.lago_id
    from unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[])
           as d (id, connection_id, kind, customer_id, target, source, lago_id)
    left join lateral (select invoice_ids[1] as corrected from object
                        where d.kind = 'credit_note' and kind = 'credit_note' and lago_id = d.lago_id
                       offset 0) o on true
   cross join lateral (values (1, 'contact', case when d.kind in ('invoice', 'credit_note', 'overpayment') then d.customer_id end),
                              (2, 'invoice', d.target), (3, 'credit_note', d.source),
                              (4, 'invoice', o.corrected)) as n (rank, kind, lago_id)
   where n.lago_id is not null
), held as materialized (
  select x.id, x.connection_id, x.kind, x.lago_id, x.xero_id,
         x.xero_id is not null and x.xero_status in ('DRAFT', 'SUBMITTED') as draft,
         x.state = 'skipped'
         or coalesce(x.cause = 'void_with_money' and x.xero_status in ('DRAFT', 'SUBMITTED'), false) as left_out,
         x.kind = 'contact' and x.state = 'failed' and x.code = 'contact_archived' as useless
    from document x
   where x.id = any(array(select f.id from (select distinct kind, lago_id from need) n cross join lateral (
                            select id from document
                             where kind = n.kind and lago_id = n.lago_id offset 0) f))
   order by x.id
     for share of x
)
select distinct on (n.id) n.id, case when h.left_out then 'skipped' else 'waiting' end as state,
       case when h.id is null then n.kind || ':' || n.lago_id || '@' || n.connection_id
            when h.draft and not h.left_out then 'draft:' || h.id else 'doc:' || h.id end as cause,
       case when h.id is null then now() + $8::interval end as wait_until
  from need n left join held h using (connection_id, kind, lago_id)
 where h.draft is true and not (n.rank = 4 and h.left_out)
    or n.rank < 4 and (h.xero_id is null or h.left_out or h.useless)
 order by n.id, h.left_out desc nulls last, n.rank;

-- name: unknown
-- The objects whose documents these would wait for, and which have none yet. ``offset 0`` as in ``unmet``.
select distinct n.kind, n.lago_id
  from document d
 cross join lateral (values ('customer', 'contact', d.customer_id), ('invoice', 'invoice', d.target),
                            ('credit_note', 'credit_note', d.source)) as n (kind, document, lago_id)
 where d.id = any($1::bigint[]) and n.lago_id is not null
   and not exists (select from document x
                    where x.kind = n.document and x.lago_id = n.lago_id and x.connection_id = d.connection_id
                   offset 0);

-- name: hold
update document d
   set state = u.state, cause = u.cause, wait_until = u.wait_until
  from unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) as u (id, state, cause, wait_until)
 where d.id = u.id;

-- name: wait_for_parts
-- An invoice is voided only once what is to go with it is not allocated to it in Xero any more, nor cleared of
-- a line of it, and no payment that Lago took back is on it (ACCOUNTING.md 4). What stays there, such as an offset, is Xero's to refuse.
with parts as materialized (
  select a.id, a.target, a.connection_id, a.kind, a.wanted, a.xero_id, a.state
    from document a
   where (a.target, a.connection_id) in (select lago_id, connection_id from document
                                          where id = any($1::bigint[]) and kind = 'invoice' and wanted is null)
   order by a.id
     for share of a
)
update document d
   set state = 'waiting', cause = 'doc:' || a.id
  from parts a
 where d.id = any($1::bigint[]) and d.kind = 'invoice' and d.state = 'ready' and d.wanted is null
   and a.target = d.lago_id and a.connection_id = d.connection_id
   and (a.kind in ('allocation', 'refund') and a.wanted is null and a.xero_id is not null
        or a.kind = 'payment' and a.wanted is null and a.state = 'ready'
        or a.state = 'sending');

-- name: wait_for_payments
-- What is beyond an invoice is sent once all that is paid on it is in Xero: before that nobody knows what of
-- the money a person has entered there. ``offset 0`` as in ``unmet``.
with payments as materialized (
  select p.id, p.target, p.connection_id
    from document p
   where p.id = any(array(select f.id from document d cross join lateral (
                            select id from document
                             where target = d.target and connection_id = d.connection_id and kind = 'payment'
                            offset 0) f
                           where d.id = any($1::bigint[]) and d.kind = 'overpayment'))
     and p.part not like 'surplus:%' and p.wanted is not null and p.state not in ('synced', 'skipped')
   order by p.id
     for share of p
)
update document d
   set state = 'waiting', cause = 'doc:' || p.id
  from payments p
 where d.id = any($1::bigint[]) and d.kind = 'overpayment' and d.state = 'ready' and d.wanted is not null
   and p.target = d.target and p.connection_id = d.connection_id;

-- name: leave_used
-- A credit note whose credit Lago voided is voided only if nothing is taken from it; and people are told.
with used as (
  update document d set state = 'synced', cause = 'credit_used'
   where d.id = any($1::bigint[]) and d.kind = 'credit_note' and d.state = 'ready' and d.wanted is null
     and exists (select from document a
                  where a.source = d.lago_id and a.connection_id = d.connection_id
                    and (a.wanted is not null or a.xero_id is not null or a.state = 'sending'))
  returning d.id, d.connection_id, d.xero_id
)
insert into finding (connection_id, document_id, xero_id, class)
select connection_id, id, xero_id, 'credit_voided' from used
 where not exists (select from finding f where f.document_id = used.id and f.class = 'credit_voided');

-- name: release_awaited
-- The objects are locked: whoever waits for these documents has written so, or will see them.
insert into release (cause)
select distinct d.cause from document d
 where d.cause = any(select u.kind || ':' || u.lago_id || '@' || u.connection_id
                       from unnest($1::text[], $2::uuid[], $3::bigint[]) as u (kind, lago_id, connection_id));

-- name: release
insert into release (cause) select unnest($1::text[]);

-- name: wake_tenants
-- No key is changed: whoever adds documents holds the tenants' keys, and would be waited for in a circle.
with locked as (select id from tenant where id = any($1::uuid[]) order by id for no key update)
update tenant t set due_at = least(t.due_at, now()) from locked where t.id = locked.id;

-- name: announce_event
insert into outbox (sink, event_id, class, code, said, hint)
select s.sink, e.event_id, 'Undecodable', e.code, e.said, e.hint
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as e (event_id, code, said, hint),
       unnest($5::text[]) as s (sink);

-- name: find_once
-- What planning tells of a document each time it plans it.
insert into finding (connection_id, document_id, class)
select d.connection_id, d.id, u.class
  from unnest($1::bigint[], $2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::text[])
       as u (connection_id, kind, lago_id, part, target, class)
  join document d on d.lago_id = u.lago_id and d.kind = u.kind and d.part = u.part
                 and d.target is not distinct from u.target
                 and d.connection_id is not distinct from u.connection_id
 where not exists (select from finding f where f.document_id = d.id and f.class = u.class);

-- name: find_freed
-- Credits of voided invoices that Xero never had of their notes: it has the notes, or will have them. What was
-- taken off is told of once that is done.
insert into finding (connection_id, document_id, class, facts)
select d.connection_id, d.id, 'credit_freed_by_void', jsonb_build_object('amount', u.amount)
  from unnest($1::bigint[], $2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::text[])
       as u (connection_id, kind, lago_id, part, target, amount)
  join document d on d.connection_id = u.connection_id and d.kind = u.kind and d.lago_id = u.lago_id
                 and d.part = u.part and d.target = u.target
 where d.state = 'skipped' and d.xero_id is null and d.wanted is null
   and not exists (select from document n
                    where n.kind = 'credit_note' and n.lago_id = d.source and n.connection_id = d.connection_id
                      and n.part = '' and n.target is null and n.state = 'skipped')
   and not exists (select from finding f where f.document_id = d.id and f.class = 'credit_freed_by_void');

-- name: left_out
-- Of these documents, the money on voided invoices that does not come to Xero, and the parts of credit notes that
-- stay open on them there: what they offset on an invoice that is not posted, and, by a switch or the start date, what
-- they offset or pay back. Each but once. ``offset 0`` as in ``unmet``.
select d.id, k.class, d.amount_cents, d.currency
  from document d
  left join lateral (select id, cause from document
                      where kind = 'invoice' and lago_id = d.target and connection_id = d.connection_id
                     offset 0) i on d.cause = 'doc:' || i.id
  left join lateral (select id, state, xero_id, wanted from document
                      where kind = 'credit_note' and lago_id = d.source and connection_id = d.connection_id
                     offset 0) n on n.state <> 'skipped' and (n.xero_id is not null or n.wanted is not null)
 cross join lateral (
   select case when d.kind in ('payment', 'overpayment') and i.cause in ('lago:voided', 'lago:deleted') then 'money_on_void'
               when n.id is null or i.id is null and d.cause not like 'syncs:%' and d.cause not like 'start_date@%' then null
               when (d.kind, d.part) = ('allocation', 'offset') then 'offset_left_open'
               when (d.kind, d.part) = ('refund', '') then 'refund_left_open' end as class) k
 where d.id = any($1::bigint[]) and d.state = 'skipped' and d.xero_id is null and k.class is not null
   and not exists (select from finding f where f.document_id = d.id and f.class = k.class and f.closed_at is null);

-- name: close_left_out
-- These documents are not left out any more, or for another reason.
update finding f set closed_at = now()
  from document d
 where f.document_id = any($1::bigint[]) and f.closed_at is null and d.id = f.document_id
   and f.class in ('money_on_void', 'offset_left_open', 'refund_left_open')
   and not (d.state = 'skipped' and d.cause similar to '(doc:|syncs:|start_date@)%');

-- name: find_drift
insert into finding (connection_id, document_id, class)
select connection_id, id, 'drift' from document where id = any($1::bigint[]);

-- name: place_credits
-- A credit that an invoice consumes is allocated to it, or is a line of it that a refund clears, or a plain
-- line, as was decided when the invoice was frozen: whoever changes what it has of a credit holds its row and
-- reads it again.
with told as materialized (
  select id, target, connection_id, kind, case when kind = 'allocation' then lago_id else substring(part from 10)::uuid end as credit
    from document
   where id = any($1::bigint[]) and (kind = 'allocation' and part = '' or part like 'clearing:%')
), posted as materialized (
  select i.lago_id, i.connection_id, i.allocated, i.cleared, i.wanted is not null as present,
         -- what a draft leaves to allocations is decided once it is sent for good
         i.allocated is not null
         and (i.state = 'sending'
              or i.xero_id is not null and coalesce(i.xero_status, '') not in ('DRAFT', 'SUBMITTED')) as frozen
    from document i
   where i.id = any(array(select f.id from told t cross join lateral (
                            select id from document
                             where kind = 'invoice' and lago_id = t.target and connection_id = t.connection_id
                            offset 0) f))
   order by i.id
     for share of i
), placed as (
  select t.id, i.present, case when t.credit = any(i.allocated) then 'allocated' else 'deducted' end as otherwise,
         case when t.kind = 'allocation' then t.credit = any(i.allocated) else i.cleared ? t.credit::text end as here
    from told t join posted i on i.lago_id = t.target and i.connection_id = t.connection_id
   where i.frozen
)
update document d
   set state = case when p.here then 'waiting' else 'skipped' end,
       cause = case when not p.here then p.otherwise
                    else case d.kind when 'allocation' then 'unplaced:' else 'uncleared:' end || d.source end,
       wait_until = case when p.here then now() end
  from placed p
 where d.id = p.id and d.xero_id is null and d.state in ('ready', 'waiting', 'skipped')
   and (d.state = 'skipped' and p.present or not p.here);

-- name: leave_deducted
-- Of these documents, the credit notes of which an invoice, as Xero was asked for it, has a plain line: they
-- are never posted, or the customer would be credited twice (ACCOUNTING.md 3). ``offset 0`` as in ``unmet``.
update document d
   set state = 'skipped', cause = 'deducted', wait_until = null
 where d.id = any($1::bigint[]) and d.kind = 'credit_note' and d.wanted is not null and d.xero_id is null
   and d.state in ('ready', 'waiting')
   and exists (
     select from document a
      cross join lateral (select allocated, cleared, state, xero_id, xero_status from document
                           where kind = 'invoice' and lago_id = a.target and connection_id = a.connection_id
                             and part = '' and target is null
                          offset 0) i
      cross join lateral (select case when a.kind = 'allocation' then a.lago_id else substring(a.part from 10)::uuid end
                              as credit offset 0) c
      where a.source = d.lago_id and a.connection_id = d.connection_id
        and (a.kind = 'allocation' and a.part = '' or a.part like 'clearing:%')
        and i.allocated is not null
        and (i.state = 'sending'
             or i.xero_id is not null and coalesce(i.xero_status, '') not in ('DRAFT', 'SUBMITTED'))
        and c.credit <> all(i.allocated) and not coalesce(i.cleared, '{}') ? c.credit::text)
returning d.id;
