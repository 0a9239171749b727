-- name: known
select digest from event where digest = any($1::bytea[]) and outcome <> 'dead';

-- name: now
select now() as now, revision from configuration;

-- name: insert_events
-- A dead event that comes again is decoded again, and only then touched.
insert into event (digest, lago_key, organization_id, type, kind, lago_id, outcome, code, said, hint,
                   topic, partition, "offset", appended_at)
select * from unnest($1::bytea[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::text[], $12::int[], $13::bigint[],
                     $14::timestamptz[])
on conflict (digest) do update
   set outcome = excluded.outcome, code = excluded.code, said = excluded.said, hint = excluded.hint,
       type = excluded.type, kind = excluded.kind, lago_id = excluded.lago_id,
       organization_id = excluded.organization_id, redriven = event.redriven + 1
 where event.outcome = 'dead'
returning id, digest, redriven;

-- name: insert_raw
insert into event_raw (event_id, key, value, headers)
select * from unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[])
on conflict do nothing;

-- name: lock_objects
select o.kind, o.lago_id, o.organization_id, o.customer_id, o.connection_id, o.first_seen, o.event_id,
       o.facts::text as facts
  from object o
  join unnest($1::text[], $2::uuid[]) as k (kind, lago_id) using (kind, lago_id)
 order by o.kind, o.lago_id
   for update of o;

-- name: insert_objects
insert into object (kind, lago_id, organization_id, customer_id, connection_id, event_id, facts)
select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::json[])
on conflict do nothing
returning 1;

-- name: update_objects
update object o
   set customer_id = u.customer_id, connection_id = u.connection_id, event_id = u.event_id, facts = u.facts
  from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::json[])
       as u (kind, lago_id, customer_id, connection_id, event_id, facts)
 where o.kind = u.kind and o.lago_id = u.lago_id;

-- name: lock_documents
select d.id, d.connection_id, d.kind, d.lago_id, d.state, d.cause, d.wait_until, d.wanted, d.synced,
       d.xero_id, d.drift, d.number
  from document d
  join unnest($1::text[], $2::uuid[]) as k (kind, lago_id) using (kind, lago_id)
 order by d.id
   for update of d;

-- name: insert_documents
insert into document (connection_id, tenant_id, kind, lago_id, customer_id, event_id, appended_at, wanted,
                      synced, state, cause, wait_until, xero_id, number, currency, dated, ready_at)
select u.*, case when u.state = 'ready' then now() end
  from unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::timestamptz[],
              $8::bytea[], $9::bytea[], $10::text[], $11::text[], $12::timestamptz[], $13::uuid[],
              $14::text[], $15::text[], $16::date[])
       as u (connection_id, tenant_id, kind, lago_id, customer_id, event_id, appended_at, wanted,
             synced, state, cause, wait_until, xero_id, number, currency, dated)
returning id, kind, state;

-- name: update_documents
-- A document that is being sent keeps its state: only what is wanted of it is raised. The number stays
-- that under which Xero was asked, or has it.
update document d
   set connection_id = u.connection_id, tenant_id = u.tenant_id, customer_id = u.customer_id,
       event_id = coalesce(u.event_id, d.event_id), appended_at = coalesce(u.appended_at, d.appended_at),
       wanted = u.wanted, synced = u.synced, xero_id = u.xero_id, currency = u.currency,
       number = case when d.state = 'sending' or d.xero_id is not null then d.number else u.number end,
       dated = u.dated, state = u.state, cause = u.cause, wait_until = u.wait_until, drift = u.drift,
       ready_at = case when u.state = 'ready' then now() else d.ready_at end,
       attempts = case when u.state = 'ready' then 0 else d.attempts end,
       code = case when u.state = 'failed' then d.code end,
       said = case when u.state = 'failed' then d.said end,
       hint = case when u.state = 'failed' then d.hint end
  from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[], $6::timestamptz[],
              $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::timestamptz[], $12::uuid[],
              $13::text[], $14::text[], $15::date[], $16::boolean[])
       as u (id, connection_id, tenant_id, customer_id, event_id, appended_at, wanted, synced, state,
             cause, wait_until, xero_id, number, currency, dated, drift)
 where d.id = u.id;

-- name: wait_for_contacts
-- Whoever writes a cause holds the cause's row and reads it again: a contact that is settled meanwhile
-- either shows its Xero id here, or its settlement waits for us and then finds the cause.
with contact as materialized (
  select c.id, c.connection_id, c.lago_id, c.state, c.cause, c.xero_id
    from document c
   where c.kind = 'contact'
     and c.lago_id in (select customer_id from document where id = any($1::bigint[]))
   order by c.id
     for share of c
)
update document d
   set state = case when c.id is not null and c.state = 'skipped' then 'skipped' else 'waiting' end,
       cause = case when c.id is null then 'contact:' || d.customer_id || '@' || d.connection_id
                    when c.state = 'skipped' then c.cause
                    else 'doc:' || c.id end,
       wait_until = case when c.id is null then now() + $2::interval end
  from document m
  left join contact c on c.connection_id = m.connection_id and c.lago_id = m.customer_id
 where m.id = any($1::bigint[]) and d.id = m.id and d.kind = 'invoice' and d.state = 'ready'
   and c.xero_id is null;

-- name: release_contacts
-- The customers' rows are locked: whoever waits for these contacts has written so, or will see them.
insert into release (cause)
select distinct d.cause from document d
 where d.cause = any(select 'contact:' || c.customer_id || '@' || c.connection_id
                       from unnest($1::uuid[], $2::bigint[]) as c (customer_id, connection_id));

-- name: release
insert into release (cause) select unnest($1::text[]);

-- name: wake_tenants
with locked as (select id from tenant where id = any($1::uuid[]) order by id for update)
update tenant t set due_at = least(t.due_at, now()) from locked where t.id = locked.id;

-- name: announce_event
insert into outbox (sink, event_id, class, code, said, hint)
select s.sink, e.event_id, 'Undecodable', e.code, e.said, e.hint
  from unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) as e (event_id, code, said, hint),
       unnest($5::text[]) as s (sink);

-- name: find_drift
insert into finding (connection_id, document_id, class)
select connection_id, id, 'drift' from document where id = any($1::bigint[]);

-- name: home_expired
-- Objects whose wait for a home is over, or whose cause was released.
select kind, lago_id from document
 where state = 'waiting' and connection_id is null and wait_until < now()
 order by wait_until limit $1;

-- name: dependency_expired
update document d
   set state = 'failed', failed_at = now(), code = 'missing_dependency', wait_until = null,
       said = 'Its contact was never planned in this connection.',
       hint = 'Send the customer''s event again: the document follows by itself.'
 where d.id in (select id from document where state = 'waiting' and connection_id is not null
                   and wait_until < now() order by wait_until limit $1 for update skip locked)
returning d.id, d.kind;
