-- name: due
-- Tenants with something to do, and when the next one has.
select t.id, t.authorisation_id, greatest(t.due_at, t.blocked_until) <= now() as due,
       extract(epoch from greatest(t.due_at, t.blocked_until) - now())::float as wait
  from tenant t join authorisation a on a.id = t.authorisation_id and a.parked_at is null
 where greatest(t.due_at, t.blocked_until) < now() + $1::interval
 order by greatest(t.due_at, t.blocked_until) limit $2;

-- name: lock_tenant
select t.id, t.authorisation_id, case when t.blocked_until = 'infinity' then 1e9
                 else extract(epoch from t.blocked_until - now()) end::float as blocked_wait,
       a.parked_at is not null as parked, (select revision from configuration) as revision,
       case when t.foreign_until > now() then t.foreign_calls else 0 end as foreign_calls,
       greatest(0, extract(epoch from t.foreign_until - now()))::float as foreign_wait,
       t.day_left, t.day_left_at, extract(epoch from now() - t.day_left_at)::float as day_age
  from tenant t join authorisation a on a.id = t.authorisation_id
 where t.id = $1 for no key update of t skip locked;

-- name: count_calls
-- In a statement after the tenant's lock, so that every call counted before us is seen. A call counts
-- until a minute after its answer, or after its deadline; its slot is free at the answer or deadline.
select count(*) filter (where answered_at is null and deadline_at > statement_timestamp()) as in_flight,
       count(*) filter (where coalesce(answered_at, deadline_at) > statement_timestamp() - $2::interval) as minute,
       count(*) as day,
       extract(epoch from statement_timestamp() - max(started_at))::float as newest_age,
       count(*) filter (where started_at > $4::timestamptz) as day_since,
       extract(epoch from min(coalesce(answered_at, deadline_at))
               filter (where coalesce(answered_at, deadline_at) > statement_timestamp() - $2::interval)
               + $2::interval - statement_timestamp())::float as minute_wait,
       extract(epoch from min(deadline_at) filter (where answered_at is null and deadline_at > statement_timestamp())
               - statement_timestamp())::float as slot_wait,
       extract(epoch from min(started_at) + $3::interval - statement_timestamp())::float as day_wait
  from request
 where tenant_id = $1 and started_at > statement_timestamp() - $3::interval;

-- name: count_client_calls
-- Of all these tenants in the last minute, as ``count_calls`` counts them.
select count(*) from request
 where tenant_id = any($1::uuid[]) and started_at > statement_timestamp() - $2::interval - interval '10 min'
   and coalesce(answered_at, deadline_at) > statement_timestamp() - $2::interval;

-- name: first_ready
-- The oldest document of each kind and step that may be sent now, of the first lane that has one.
select o.kind, o.step, d.lane, d.ready_at
  from unnest($2::text[], $3::text[]) as o (kind, step)
 cross join lateral (
   select lane, ready_at from document
    where tenant_id = $1 and state = 'ready' and kind = o.kind and step = o.step and ready_at <= now()
    order by lane, ready_at, id limit 1) d;

-- name: ready
-- Documents of one kind and step with all that translation needs, the oldest first.
with picked as materialized (
  select id from document
   where tenant_id = $1 and state = 'ready' and kind = $2 and step = $3 and ready_at <= now()
   order by lane, ready_at, id
   limit $4 for update skip locked
)
select d.id, d.connection_id, d.kind, d.part, d.lago_id, d.wanted, d.synced, d.batch_limit, d.suffix, d.xero_id,
       d.xero_status, d.linked, d.target, d.amount_cents, d.currency, d.dated, o.facts::text as facts,
       k.facts::text as customer_facts, i.xero_id as target_id,
       -- a note's is its invoice's, which the customer may have left since, or what that became; of an invoice sent
       -- before that was written down it is the customer's (nothing, too, differs from all of none)
       case when v.contact_id is not null and v.contact_id <> all(c.merged) and (v.xero_id is not null or v.state = 'sending')
            then v.contact_id else c.xero_id end as contact_id,
       i.currency as target_currency, i.dated as target_dated, n.xero_id as source_id, n.dated as source_dated,
       n.total as source_total, i.number as target_number, t.facts::text as target_facts,
       (i.cleared ->> substring(d.part from 10))::numeric as cleared_amount,
       -- Since the ledger was restored from a backup nobody has looked whether Xero has it; a day is for what
       -- is asked of Lago once more.
       b.restored_on is not null and coalesce(d.told_at < b.restored_on + interval '1 day', true)
       and coalesce(d.sought_at < b.restored_on, true) as unsought, s.*
  from picked p
  join document d on d.id = p.id
  join tenant b on b.id = d.tenant_id
  left join object o on o.kind = case when d.kind = 'refund' then 'credit_note'
                                      when d.part = 'residual' then 'invoice'
                                      when d.kind = 'overpayment' then 'payment' else d.kind end
                    and o.lago_id = case when d.part = 'residual' then d.target else d.lago_id end
  left join object k on k.kind = 'customer' and k.lago_id = d.customer_id
  left join document c on c.kind = 'contact' and c.lago_id = d.customer_id and c.connection_id = d.connection_id
  left join document i on i.kind = 'invoice' and i.lago_id = d.target and i.connection_id = d.connection_id
  left join document n on n.kind = 'credit_note' and n.lago_id = d.source and n.connection_id = d.connection_id
  left join lateral ( -- ``offset 0``: looked up by index, also while nobody has counted the table
    select contact_id, xero_id, state from document
     where d.kind = 'credit_note' and kind = 'invoice' and lago_id = o.invoice_ids[1] and connection_id = d.connection_id
    offset 0) v on true
  left join object t on d.kind = 'overpayment' and t.kind = 'invoice' and t.lago_id = d.target
  left join lateral ( -- what settles the same invoice (of an overpayment: what is beyond it), is
                      -- taken from the same note: as Lago tells, as Xero has it. By these alone (+ 0), not through
                      -- all of the connection's, which may seem few while nobody has counted them
    select sum(p.amount_cents) filter (where p.target = d.target and p.kind <> 'refund') as settled_subunits,
           sum(p.total * 100) filter (where p.target = d.target and p.kind <> 'refund') as settled_cents,
           sum(p.amount_cents) filter (where p.source = d.source) as taken_subunits,
           sum(p.total * 100) filter (where p.source = d.source) as taken_cents
      from document p
     where d.amount_cents is not null and p.id <> d.id and p.connection_id + 0 = d.connection_id
       and (p.synced is not null or p.state = 'sending')
       and (p.kind = 'overpayment') = (d.kind = 'overpayment')
       and (p.target = d.target or p.source = d.source)) s on true
 order by d.lane, d.ready_at, d.id;

-- name: allocated
-- The credits that these invoices leave to allocations, and those that are lines on the clearing account; in
-- a statement after the invoices' lock, so that whoever changed one before us is seen, and who does so after
-- us sees what was decided here.
-- ``there`` are those of all the credits that these invoices consume whose notes Xero has, or may have.
select i.id, coalesce(array_agg(c.credit) filter (where c.wanted and a.kind = 'allocation'), '{}') as allocated,
       coalesce(array_agg(c.credit) filter (where c.wanted and a.kind = 'refund'), '{}') as cleared,
       coalesce(array_agg(distinct c.credit) filter (where n.id is not null), '{}') as there
  from document i
  join document a on a.target = i.lago_id and a.connection_id = i.connection_id
                 and (a.kind = 'allocation' and a.part = '' or a.part like 'clearing:%')
 cross join lateral (select a.wanted is not null and a.state <> 'skipped' as wanted,
                            case when a.kind = 'allocation' then a.lago_id else substring(a.part from 10)::uuid end
                              as credit) c
  left join document n on n.kind = 'credit_note' and n.lago_id = a.source and n.connection_id = a.connection_id
                      and n.part = '' and n.target is null
                      and (n.state = 'sending' or n.xero_id is not null and n.state <> 'skipped')
 where i.id = any($1::bigint[])
 group by i.id;

-- name: sleep
-- Until the tenant's next document may be sent, and, of the lanes from the fifth parameter on, no less than
-- so many seconds; whether that is now.
update tenant t
   set due_at = coalesce(next.at, 'infinity')
  from (select min(greatest(d.ready_at, case when l.lane >= $5::smallint
                                             then now() + make_interval(secs => $4::float) end)) as at
          from unnest($2::text[], $3::text[]) as o (kind, step)
         cross join generate_series(0, 4) as l (lane)
         cross join lateral (
           select ready_at from document
            where tenant_id = $1 and state = 'ready' and kind = o.kind and step = o.step and lane = l.lane
            order by ready_at limit 1) d) as next
 where t.id = $1
returning t.due_at <= now();

-- name: claimed_numbers
select d.number, d.id, d.lago_id from document d
 where d.number = any($2::text[]) and d.tenant_id = $1 and d.kind = $3 and d.id <> all($4::bigint[])
   and (d.xero_id is not null or d.state = 'sending');

-- name: insert_request
insert into request (id, tenant_id, purpose, method, path, body, deadline_at, look_at, resendable)
values ($1, $2, $3, $4, $5, $6, statement_timestamp() + $7::interval, statement_timestamp() + $8::interval,
        $9)
returning started_at;

-- name: seek
-- Nothing is sent of this request: it is looked up first, once nothing can arrive at Xero any more that was sent
-- before the restore. It counts as a call that it is not.
update request r
   set doubt = $2, resendable = false, answered_at = r.started_at,
       look_at = greatest(r.started_at, t.restored_on + (r.deadline_at - r.started_at) + $3::interval)
  from tenant t where r.id = $1 and t.id = r.tenant_id;

-- name: sought
update document set sought_at = now() where id = any($1::bigint[]);

-- name: send_documents
-- They are members of the request from now on.
with members as (
  insert into member (request_id, position, document_id, sent, notes, own_day)
  select $1, * from unnest($2::smallint[], $3::bigint[], $4::bytea[], $12::jsonb[], $14::date[])
)
update document d
   set state = 'sending', sent = d.wanted, cause = case when d.wanted is null then d.cause end,
       wait_until = null, net = coalesce(u.net, d.net), tax = coalesce(u.tax, d.tax),
       total = coalesce(u.total, d.total), attempts = d.attempts + 1, suffix = u.suffix,
       contact_id = coalesce(u.contact_id, d.contact_id),
       number = coalesce(u.number, d.number), dated = coalesce(u.dated, d.dated),
       allocated = case when d.kind = 'invoice' and d.wanted is not null then u.allocated::uuid[] else d.allocated end,
       cleared = case when d.kind = 'invoice' and d.wanted is not null then u.cleared else d.cleared end
  from unnest($3::bigint[], $5::numeric[], $6::numeric[], $7::numeric[], $8::text[], $9::text[], $10::text[],
              $11::date[], $13::jsonb[], $15::uuid[])
       as u (id, net, tax, total, suffix, number, allocated, dated, cleared, contact_id)
 where d.id = u.id;

-- name: fail_documents
update document d
   set state = 'failed', failed_at = now(), code = u.code, said = u.said, hint = u.hint, cause = u.cause,
       batch_limit = null, wait_until = null
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
       as u (id, code, said, hint, cause)
 where d.id = u.id;

-- name: taken_off
-- What was allocated to these invoices, or cleared of lines of theirs, and is not any more.
select a.id
  from document d
  join document a on a.target = d.lago_id and a.connection_id = d.connection_id
                 and (a.kind = 'allocation' and a.part = '' or a.part like 'clearing:%') and a.state = 'skipped'
 where d.id = any($1::bigint[]) and d.kind = 'invoice' and d.wanted is null
 order by a.id
   for update of a;

-- name: count_dust
update document
   set state = 'synced', sent = wanted, synced = wanted, total = 0, cause = 'below_cent', code = null, said = null,
       hint = null
 where id = any($1::bigint[]);

-- name: hold_drafts
-- Until the lock date moves: whoever moves it waits for us, and then finds the cause.
update document d set state = 'waiting', cause = u.cause
  from unnest($1::bigint[], $2::text[]) as u (id, cause) where d.id = u.id;

-- name: hold_paused
-- Of the next documents of one kind and step those whose connections a person has paused: they wait until
-- he resumes them, and are in nobody's way.
with page as materialized (
  select id, connection_id from document
   where tenant_id = $1 and state = 'ready' and kind = $2 and step = $3 and ready_at <= now()
   order by lane, ready_at, id
   limit $4 for update skip locked
)
update document d set state = 'waiting', cause = 'paused@' || c.code, wait_until = null
  from page p join connection c on c.id = p.connection_id and c.paused_at is not null
 where d.id = p.id;

-- name: plan_again
with stale as (
  update document set state = 'waiting', cause = 'plan:' || id where id = any($1::bigint[]) returning cause
)
insert into release (cause) select cause from stale;

-- name: announce_documents
insert into outbox (sink, document_id, event_id, connection_id, class, code, said, hint)
select s.sink, d.id, d.event_id, d.connection_id, u.class, u.code, u.said, u.hint
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) as u (id, class, code, said, hint)
  join document d on d.id = u.id, unnest($6::text[]) as s (sink);

-- name: announce_tenant
insert into outbox (sink, connection_id, class, code, said, hint)
select 'webhook', c.id, $2, $3, $4, $5 from connection c
 where c.tenant_id = any($1::uuid[]) and c.removed_at is null and 'webhook' = any($6::text[]);

-- name: lock_request
select r.id, r.tenant_id, r.purpose, r.method, r.path, r.body, r.outcome, r.started_at, r.answered_at,
       r.status, r.doubt, r.said, r.resendable, r.looks, t.authorisation_id
  from request r join tenant t on t.id = r.tenant_id
 where r.id = $1 for update of r;

-- name: members
-- Of a request: those without an outcome, or all of them if $2. Or else these documents ($3), members of none,
-- as if they had been sent as they are.
with asked as (
  select document_id, position, sent, notes, code, said, hint from member
   where request_id = $1 and (outcome is null or $2)
  union all
  select id, -1, wanted, null, null, null, null from document where id = any($3::bigint[])
)
select a.position, d.id as document_id, a.sent, a.notes, a.code as refused_code, a.said as refused_said,
       a.hint as refused_hint, d.kind, d.part, d.state, d.cause, d.wanted, d.synced, d.xero_id, d.xero_status, d.code,
       d.linked, d.merged, d.by_hand, d.attempts, d.suffix, d.net, d.tax, d.total, d.appended_at, d.lago_id,
       d.batch_limit, c.code as connection_code, c.settings ->> 'linked_contacts' as linked_contacts, x.id as contact,
       case d.kind when 'refund' then d.source when 'invoice' then d.lago_id
                   when 'overpayment' then null else coalesce(d.target, d.source)
       end as room, k.facts::text as customer_facts,
       coalesce(d.contact_id <> x.xero_id and d.contact_id <> all(x.merged), false) as left_behind,
       case when v.contact_id <> x.xero_id and v.contact_id <> all(x.merged)
                 and (v.xero_id is not null or v.state = 'sending') then v.contact_id end as invoices_contact
  from asked a join document d on d.id = a.document_id join connection c on c.id = d.connection_id
  left join object k on d.kind = 'contact' and k.kind = 'customer' and k.lago_id = d.lago_id
  left join document x on d.kind in ('invoice', 'credit_note', 'overpayment') and x.kind = 'contact'
                      and x.lago_id = d.customer_id and x.connection_id = d.connection_id
  left join object n on d.kind = 'credit_note' and n.kind = 'credit_note' and n.lago_id = d.lago_id
  left join lateral (select contact_id, xero_id, state from document -- ``offset 0`` as in ``ready``
                      where kind = 'invoice' and lago_id = n.invoice_ids[1] and connection_id = d.connection_id
                     offset 0) v on true
 order by d.id
   for update of d;

-- name: lock_with_contacts
-- The open members, the documents of their contacts and the invoices that they correct, in one order.
select d.id from document d
 where d.id in (select m.document_id from member m where m.request_id = $1 and m.outcome is null
                union
                select x.id from member m join document i on i.id = m.document_id
                  join document x on x.kind = 'contact' and x.lago_id = i.customer_id
                                 and x.connection_id = i.connection_id
                 where m.request_id = $1 and m.outcome is null
                union
                select v.id from member m join document i on i.id = m.document_id and i.kind = 'credit_note'
                  join object n on n.kind = 'credit_note' and n.lago_id = i.lago_id
                 cross join lateral (select id from document -- ``offset 0`` as in ``ready``
                                      where kind = 'invoice' and lago_id = n.invoice_ids[1] and connection_id = i.connection_id
                                     offset 0) v
                 where m.request_id = $1 and m.outcome is null)
 order by d.id
   for update of d;

-- name: hold_customers
-- What is ready to be sent to contacts that are of no use; what is being frozen just now finds out by itself.
with idle as (
  select d.id, c.id as contact
    from document c
    join document d on d.customer_id = c.lago_id and d.connection_id = c.connection_id
   where c.id = any($1::bigint[]) and d.kind in ('invoice', 'credit_note', 'overpayment')
     and d.state = 'ready' and d.wanted is not null
     for update of d skip locked
)
update document d set state = 'waiting', cause = 'doc:' || i.contact, wait_until = null from idle i where d.id = i.id;

-- name: follow_merges
-- The invoices that these credit notes correct are on another contact by now: a person has merged theirs into it.
update document v set contact_id = u.contact_id
  from unnest($1::bigint[], $2::uuid[]) as u (id, contact_id)
  join document d on d.id = u.id
  join object n on n.kind = 'credit_note' and n.lago_id = d.lago_id
 cross join lateral (select id from document -- ``offset 0`` as in ``ready``
                      where kind = 'invoice' and lago_id = n.invoice_ids[1] and connection_id = d.connection_id
                     offset 0) i
 where v.id = i.id;

-- name: answer_request
update request
   set answered_at = coalesce(answered_at, statement_timestamp()), status = $2, correlation = $3
 where id = $1;

-- name: close_request
update request set outcome = $2, look_at = null where id = $1;

-- name: doubt_request
update request
   set doubt = $2, look_at = statement_timestamp() + $3::interval, resendable = false, said = $4
 where id = $1;

-- name: close_members
update member m set outcome = u.outcome from unnest($2::smallint[], $3::text[]) as u (position, outcome)
 where m.request_id = $1 and m.position = u.position;

-- name: keep_refusals
update member m set code = u.code, said = u.said, hint = u.hint
  from unnest($2::smallint[], $3::text[], $4::text[], $5::text[]) as u (position, code, said, hint)
 where m.request_id = $1 and m.position = u.position;

-- name: claimed_ids
select d.xero_id, d.id, d.lago_id from document d
 where d.tenant_id = $1 and d.kind = $2 and d.xero_id = any($3::uuid[]) and d.id <> all($4::bigint[]);

-- name: claimed_payments
-- Money in Xero that is other documents' already, or counted as theirs.
select p.id from unnest($2::uuid[]) as p (id)
 where exists (select from document d where d.tenant_id = $1 and d.kind in ('payment', 'refund', 'overpayment') and d.xero_id = p.id)
    or exists (select from document d where d.tenant_id = $1 and d.by_hand = p.id and d.id <> all($3::bigint[]));

-- name: looked_for
-- Of these documents, those that were looked for in Xero and not found, as they are now and not so long ago,
-- and that nothing was sent of since.
select d.id
  from document d
 cross join lateral (select r.doubt, r.started_at, m.sent, m.outcome
                       from member m join request r on r.id = m.request_id
                      where m.document_id = d.id order by r.started_at desc limit 1) last
 where d.id = any($1::bigint[]) and last.doubt = 'look_first' and last.outcome = 'dissolved'
   and last.sent = d.wanted and last.started_at > now() - $2::interval;

-- name: whole_receipts
-- Of these overpayments: the whole payments that they are parts of, as Xero was to get them, and whether a
-- person has entered money on their invoices, or set aside what was to be sent.
select d.id, (select sum(p.total) from document p
               where p.lago_id = d.lago_id and p.connection_id = d.connection_id and p.wanted is not null
                 and p.kind in ('payment', 'overpayment')) as whole,
       exists (select from document p
                where p.target = d.target and p.connection_id = d.connection_id
                  and (p.by_hand is not null or p.kind = 'payment' and p.state = 'skipped' and p.wanted is not null)) as by_hand
  from document d where d.id = any($1::bigint[]);

-- name: settle_documents
update document d
   set xero_id = u.xero_id, synced = u.synced, state = u.state, cause = u.cause, drift = u.drift or d.drift,
       xero_status = coalesce(u.status, d.xero_status),
       xero_net = coalesce(u.net, d.xero_net), xero_tax = coalesce(u.tax, d.xero_tax),
       xero_total = coalesce(u.total, d.xero_total), xero_due = coalesce(u.due, d.xero_due),
       ready_at = case when u.state = 'ready' then now() else d.ready_at end,
       accepted_at = coalesce(d.accepted_at, now()), batch_limit = null, redriven = 0, code = null, said = null, hint = null,
       by_hand = u.by_hand, linked = d.linked or u.linked,
       merged = case when u.linked then u.merged::uuid[] else d.merged end
  from unnest($1::bigint[], $2::uuid[], $3::bytea[], $4::text[], $5::text[], $6::boolean[], $7::text[],
              $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::uuid[],
              $13::boolean[], $14::text[])
       as u (id, xero_id, synced, state, cause, drift, status, net, tax, total, due, by_hand, linked, merged)
 where d.id = u.id;

-- name: unsend_documents
update document d
   set state = u.state, cause = u.cause, ready_at = now() + u.delay, batch_limit = u.batch_limit,
       suffix = u.suffix, attempts = u.attempts
  from unnest($1::bigint[], $2::text[], $3::text[], $4::interval[], $5::smallint[], $6::text[], $7::int[])
       as u (id, state, cause, delay, batch_limit, suffix, attempts)
 where d.id = u.id;

-- name: release_waiting
-- After the contacts' rows are locked and written, in a new statement: whoever was writing the cause
-- held the row for share and is visible now.
insert into release (cause)
select distinct d.cause from document d
 where d.cause = any(array(select awaits || id from unnest($1::bigint[]) as id, (values ('doc:'), ('draft:')) as a (awaits)))
   and d.state in ('waiting', 'skipped', 'failed');

-- name: release_room
insert into release (cause)
select distinct d.cause from document d
 where d.state = 'failed'
   and d.cause = any(select 'room:' || o.id from document x cross join lateral (values (x.target), (x.source)) as o (id)
                      where x.id = any($1::bigint[]) and x.kind <> 'overpayment' and o.id is not null);

-- name: room_meanwhile
-- Something was taken off there after this request had been made, and nobody waited for it then.
insert into release (cause)
select distinct d.cause
  from member m join document d on d.id = m.document_id join request r on r.id = m.request_id
 where m.request_id = $1 and d.state = 'failed' and d.cause like 'room:%'
   and exists (select from document x join member y on y.document_id = x.id and y.sent is null and x.kind <> 'overpayment'
                 join request off on off.id = y.request_id and off.answered_at > r.started_at
                where 'room:' || x.target = d.cause and x.target = coalesce(d.target, d.lago_id)
                   or 'room:' || x.source = d.cause and x.source = d.source);

-- name: find
insert into finding (connection_id, document_id, xero_id, class, facts)
select d.connection_id, d.id, u.xero_id, u.class, u.facts
  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::jsonb[]) as u (id, xero_id, class, facts)
  join document d on d.id = u.id;

-- name: insert_surplus
-- Documents that nothing of Lago's asks for: they are removed from Xero as any other is.
insert into document (connection_id, tenant_id, kind, lago_id, part, target, source, customer_id, event_id,
                      appended_at, synced, state, cause, ready_at, xero_id, currency, dated)
select d.connection_id, d.tenant_id, d.kind, d.lago_id, 'surplus:' || u.xero_id, d.target, d.source, d.customer_id,
       d.event_id, d.appended_at, '', 'ready', 'surplus', now(), u.xero_id, d.currency, d.dated
  from unnest($1::bigint[], $2::uuid[]) as u (id, xero_id) join document d on d.id = u.id
on conflict do nothing;

-- name: surplus
select xero_id from finding where document_id = any($1::bigint[]) and class = 'surplus';

-- name: block_tenant
update tenant
   set blocked_until = greatest(blocked_until, now() + $2::interval), failures = failures + $4,
       blocked_why = case when blocked_until = 'infinity' then blocked_why else $3 end
 where id = $1;

-- name: park_tenant
update tenant set blocked_until = 'infinity', blocked_why = $2
 where id = $1 and blocked_until is distinct from 'infinity' returning id;

-- name: lock_authorisation
select secret || coalesce(tokens, '') from authorisation where id = $1 for update;

-- name: park_authorisation
update authorisation set parked_at = now(), parked_why = $2 where id = $1 and parked_at is null returning id;

-- name: tenants_of
select id from tenant where authorisation_id = $1;

-- name: tell_limits
-- Our own count of this minute says what should be left; less than that was spent by somebody else.
update tenant t
   set foreign_calls = coalesce(greatest(0, $5 - own.calls - $2), 0),
       foreign_until = now() + $4::interval,
       day_left = coalesce($3, t.day_left), day_left_at = case when $3::int is not null then now() else t.day_left_at end,
       failures = case when $6 then 0 else failures end
  from (select count(*)::int as calls from request
         where tenant_id = $1 and started_at > statement_timestamp() - $4::interval - interval '10 min'
           and coalesce(answered_at, deadline_at) > statement_timestamp() - $4::interval) as own
 where t.id = $1;

-- name: wake
update tenant set due_at = least(due_at, now()) where id = $1;

-- name: wake_waiting
-- A slot is free: whoever has work and waits for one need not wait on.
update tenant set due_at = least(due_at, now()) where id = $1 and due_at < 'infinity';

-- name: due_requests
-- A few of each tenant, so that one with many does not hide the others'.
select id, tenant_id
  from (select r.id, r.tenant_id, r.look_at, row_number() over (partition by r.tenant_id order by r.look_at) as nth
          from request r join tenant t on t.id = r.tenant_id join authorisation a on a.id = t.authorisation_id
         where r.outcome is null and r.look_at <= now() and a.parked_at is null
           and (t.blocked_until is null or t.blocked_until <= now()) and r.tenant_id <> all($3::uuid[])) as due
 where nth <= $2
 order by look_at limit $1;

-- name: take_request
-- Whoever raises look_at looks; a pod that dies meanwhile leaves it to the next.
-- What Xero does not keep apart is looked at once more, at last; also where the answer to its repetition has
-- told of some of it meanwhile.
update request
   set look_at = now() + $2::interval,
       audit_at = case when purpose = any($3::text[])
                        and (audit_at is not null
                             or coalesce(doubt, '') not in ('already_paid', 'contact_archived', 'look_first', 'restored'))
                       then started_at + $4::interval end
 where id = (select id from request where id = $1 and outcome is null and look_at <= now() for update skip locked)
returning id;

-- name: take_audit
-- Whoever cannot look leaves it to the next, each time for half as long again: it is never given up.
update request set audit_at = now() + greatest($1::interval, (now() - started_at) / 2)
 where id = (select r.id from request r join tenant t on t.id = r.tenant_id
               join authorisation a on a.id = t.authorisation_id and a.parked_at is null
              where r.audit_at <= now() and r.outcome is not null
                and (t.blocked_until is null or t.blocked_until <= now())
              order by r.audit_at limit 1 for update of r skip locked)
returning id;

-- name: end_audit
update request set audit_at = null where id = $1;

-- name: frozen_members
select m.position, m.document_id, d.kind, d.lago_id, d.xero_id, m.code as refused, m.own_day
  from member m join document d on d.id = m.document_id
 where m.request_id = $1 and (m.outcome is null or $2) order by m.position;

-- name: next_release
select id, cause, after, page from release order by id limit 1 for update skip locked;

-- name: held_by
-- The documents that have this cause, a page at a time; only planning can release some of them: those
-- without a home, skipped ones, those to be removed, and those whose plan is out of date.
select id, kind, part, lago_id, target, connection_id, surplus,
       not surplus and state = 'failed' and wanted is null as unremoved,
       not surplus and (connection_id is null or state = 'skipped' or wanted is null or cause like 'plan:%') as unplanned
  from document cross join lateral (select part like 'surplus:%' as surplus) as s
 where cause = $1 and id > $2 order by id limit $3;

-- name: refused_of
-- Documents of a connection or a tenant that Xero refused with this code, a page at a time.
select id from document
 where state = 'failed' and code = $3 and id > $4
   and case $1 when 'connection' then connection_id::text else tenant_id::text end = $2
 order by id limit $5 for update;

-- name: ready_payments
-- Of a connection, a page at a time.
select id from document
 where tenant_id = (select tenant_id from connection where id = $1) and state = 'ready' and kind = 'payment'
   and step = 'create' and connection_id + 0 = $1 and id > $2
 order by id limit $3 for update;

-- name: overpaying
-- Of these documents, the payments in connections that keep what is too much as overpayments.
select d.kind, d.part, d.lago_id, d.target from document d join connection c on c.id = d.connection_id
 where d.id = any($1::bigint[]) and d.kind = 'payment' and c.settings ->> 'excess' = 'overpayment';

-- name: release_documents
with chosen as (select id from document where id = any($1::bigint[]) and cause = $2
                   and state in ('waiting', 'failed') order by id for update)
update document d
   set state = 'ready', cause = case when part like 'surplus:%' then 'surplus' end, wait_until = null,
       ready_at = now(), attempts = 0, code = null, said = null, hint = null
  from chosen where d.id = chosen.id
returning d.id, d.kind, d.tenant_id;

-- name: unplanned
select id, kind from document where id = any($1::bigint[]) and cause = $2 and state = 'waiting' order by id for update;

-- name: release_on
-- The next page's turn comes after whatever else is to be released.
update release set after = $2, id = default where id = $1;

-- name: lock_release
select from release where id = $1 and after = $2 and page = $3 for update;

-- name: shrink_release
update release set page = greatest(1, page / 10) where id = $1;

-- name: forget_release
delete from release where id = $1;

-- name: prune_bodies
-- An audit reads what was sent, however long the tenant cannot be asked.
update request set body = null
 where id in (select id from request where body is not null and outcome is not null and audit_at is null
                 and started_at < now() - $1::interval limit 1000);

-- name: lock_tenant_waiting
-- A forbidden tenant may be asked for: that is how apply finds out that it is open again.
select t.id, case when t.blocked_until < 'infinity' then extract(epoch from t.blocked_until - now()) end::float
         as blocked_wait,
       case when t.foreign_until > now() then t.foreign_calls else 0 end as foreign_calls,
       greatest(0, extract(epoch from t.foreign_until - now()))::float as foreign_wait,
       t.day_left, t.day_left_at, extract(epoch from now() - t.day_left_at)::float as day_age
  from tenant t where t.id = $1 for no key update;

-- name: answer_call
update request
   set answered_at = coalesce(answered_at, statement_timestamp()), status = $2, correlation = $3, outcome = $4
 where id = $1 returning tenant_id;

-- name: failures_of
select least(failures, 10)::int from tenant where id = $1;

-- name: postpone_request
update request set look_at = now() + $2::interval where id = $1 and outcome is null;

-- name: look_failed
update request set look_at = now() + $2::interval, looks = least(looks + 1, 1000)
 where id = $1 and outcome is null
returning looks;

-- name: doubted_request
-- A call that Xero has refused as a whole is over; any other may still arrive, or its repetition under the key.
select r.id, r.tenant_id, t.authorisation_id, r.purpose, r.method, r.path, r.body, r.doubt, r.looks,
       case when r.doubt = 'restored' then t.restored_at else r.started_at end as started_at,
       r.resendable and r.answered_at is null and r.started_at + $2::interval > now()
       and not exists (select from member m join document d on d.id = m.document_id
                         join connection c on c.id = d.connection_id and c.paused_at is not null
                        where m.request_id = r.id) as resend,
       case when r.doubt like 'whole\_%' then 0
            when r.doubt = 'restored'
            then greatest(0, extract(epoch from t.restored_on + (r.deadline_at - r.started_at) + $3::interval - now()))
            else greatest(0, extract(epoch from r.deadline_at + $3::interval - now())) end::float as final_in
  from request r join tenant t on t.id = r.tenant_id
 where r.id = $1;

-- name: end_patience
-- Documents that have waited long enough for a home or for a payment's message are planned once more.
with over as materialized (
  select id from document
   where state = 'waiting' and (cause like 'home:%' or cause like 'residual:%') and wait_until < now()
   order by wait_until limit $1 for update skip locked
), due as (
  update document d set cause = 'plan:due:' || (select min(id) from over), wait_until = null
    from over where d.id = over.id returning d.cause
), released as (
  insert into release (cause) select distinct cause from due
)
select count(*) from due;

-- name: unanswered
-- Documents that have waited long enough for what may never come.
select id, kind, cause from document
 where state = 'waiting' and cause not like 'home:%' and cause not like 'residual:%' and wait_until < now()
 order by wait_until limit $1
   for update skip locked;
