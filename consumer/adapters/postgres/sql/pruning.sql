-- A page each of what may be dropped, in the order of its key, after the last page's. ``over`` rows are
-- dropped; from a ``young`` one on there is nothing old enough: ids rise with the time of their rows.
-- (``offset 0``: each row is looked up by index; else whole tables are hashed for it.)

-- name: announcements
select id, created_at >= now() - $2::interval as young, done_at < now() - $2::interval as over
  from outbox where id > $1 order by id limit $3;

-- name: messages
-- The bytes of an event that is final, and has been for so long: none of its documents is open or was in
-- a request that ended since, and it was announced before.
with page as materialized (
  select e.id, e.outcome, e.received_at < now() - $2::interval as old
    from event_raw r join event e on e.id = r.event_id
   where r.event_id > $1 order by r.event_id limit $3
)
select p.id, not p.old as young,
       p.old and p.outcome <> 'dead'
       and not exists (
         select from document d
          where d.event_id = p.id
            and (d.state in ('waiting', 'ready', 'sending', 'failed')
                 or exists (select from member m join request r on r.id = m.request_id
                             where m.document_id = d.id
                               and coalesce(r.answered_at, r.deadline_at) >= now() - $2::interval
                             offset 0))
         offset 0)
       and not exists (
         select from outbox o
          where o.event_id = p.id and (o.done_at is null or o.done_at >= now() - $2::interval)
         offset 0) as over
  from page p order by p.id;

-- name: requests
-- Calls that nobody is to look at any more and that no open document was in; the newest that each document
-- was accepted by stays. What was taken off since an open request of the tenant began is asked for when that
-- one is refused (``room_meanwhile``).
with page as materialized (
  select id, tenant_id, started_at, coalesce(answered_at, deadline_at) as ended_at
    from request
   where look_at is null and audit_at is null and (started_at, id) > ($1::timestamptz, $2::uuid) and started_at < now() - $3::interval
   order by started_at, id limit $4
), unknown as materialized (
  select tenant_id, min(started_at) as since from request
   where outcome is null and look_at is not null group by tenant_id
)
select p.started_at, p.id, false as young,
       coalesce(p.ended_at <= u.since, true)
       and not exists (
         select from member m join document d on d.id = m.document_id
          where m.request_id = p.id
            and (d.state in ('waiting', 'ready', 'sending', 'failed')
                 or m.outcome in ('accepted', 'adopted', 'found')
                    and not exists (
                      select from member n join request r on r.id = n.request_id
                       where n.document_id = m.document_id and n.outcome in ('accepted', 'adopted', 'found')
                         and (r.started_at, r.id) > (p.started_at, p.id)
                      offset 0))
         offset 0) as over
  from page p left join unknown u using (tenant_id) order by p.started_at, p.id;

-- name: findings
select id, false as young, closed_at < now() - $2::interval as over
  from finding where closed_at is not null and id > $1 order by id limit $3;

-- name: events
-- Keys of events that made no document's wanted version and that nobody is still to be told of. Payments'
-- stay: see pruning.py.
with page as materialized (
  select id, outcome, kind, received_at < now() - $2::interval as old
    from event where id > $1 order by id limit $3
)
select p.id, not p.old as young,
       p.old and p.outcome <> 'dead' and p.kind is distinct from 'payment'
       and not exists (select from document d where d.event_id = p.id offset 0)
       and not exists (select from outbox o where o.event_id = p.id and o.done_at is null offset 0) as over
  from page p order by p.id;

-- What another prune is dropping, or somebody holds, is left to him.

-- name: drop_announcements
delete from outbox where id in (select id from outbox where id = any($1::bigint[]) for update skip locked) returning id;

-- name: drop_messages
delete from event_raw
 where event_id in (select event_id from event_raw where event_id = any($1::bigint[]) for update skip locked)
returning event_id;

-- name: drop_requests
delete from request where id in (select id from request where id = any($1::uuid[]) for update skip locked) returning id;

-- name: drop_findings
delete from finding where id in (select id from finding where id = any($1::bigint[]) for update skip locked) returning id;

-- name: drop_events
delete from event where id in (select id from event where id = any($1::bigint[]) for update skip locked) returning id;
