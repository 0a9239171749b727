-- name: alive
select 1;

-- name: documents
-- What is settled is a counter's business; these are the states that can grow.
select kind, state, count(*) from document where strpos('waiting ready sending failed', state) > 0 group by kind, state;

-- name: tenants
-- By what keeps them: how many, their documents that may go now, the age of the oldest, and those for later.
with ready as materialized (
  select tenant_id, count(*) filter (where ready_at <= now()) as due, count(*) filter (where ready_at > now()) as later,
         min(ready_at) filter (where ready_at <= now()) as oldest
    from document where state = 'ready' group by tenant_id
), paused as materialized (
  select tenant_id from connection where removed_at is null group by tenant_id having bool_and(paused_at is not null)
)
select case when a.parked_at is not null then 'parked'
            when t.blocked_until = 'infinity' then
              case when t.blocked_why in ('unauthorised', 'disconnected') then 'unconnected' else 'parked' end
            when p.tenant_id is not null then 'paused'
            when t.blocked_until > now() then coalesce(t.blocked_why, 'fault')
            when t.due_at > now() and r.due > 0 then 'budget' else 'open' end as state,
       count(*) as tenants, coalesce(sum(r.due), 0)::bigint as due, coalesce(sum(r.later), 0)::bigint as later,
       coalesce(max(extract(epoch from now() - r.oldest)), 0)::float as age
  from tenant t
  join authorisation a on a.id = t.authorisation_id
  left join ready r on r.tenant_id = t.id
  left join paused p on p.tenant_id = t.id
 where exists (select from connection c where c.tenant_id = t.id and c.removed_at is null)
 group by 1;

-- name: budgets
-- As ``count_calls`` counts them, of all tenants at once; Xero's word lowers what is left of the day.
with tenants as materialized (
  select t.authorisation_id, c.minute, c.in_flight,
         c.minute + case when t.foreign_until > now() then t.foreign_calls else 0 end as minute_used,
         greatest(0, least($4 - c.day, case when t.day_left_at > now() - $2::interval
                                            then t.day_left - c.since end)) as day_left
    from tenant t
   cross join lateral (
     select count(*) as day, count(*) filter (where started_at > t.day_left_at) as since,
            count(*) filter (where coalesce(answered_at, deadline_at) > now() - $1::interval) as minute,
            count(*) filter (where answered_at is null and deadline_at > now()) as in_flight
       from request where tenant_id = t.id and started_at > now() - $2::interval) c
), clients as (
  select sum(minute) as minute from tenants group by authorisation_id
)
select coalesce(min(day_left), $4)::float / $4 as day, count(*) filter (where day_left = 0) as spent,
       greatest(0, 1 - coalesce(max(minute_used), 0)::float / $3) as minute,
       greatest(0, 1 - coalesce((select max(minute) from clients), 0)::float / $5) as client_minute,
       coalesce(sum(in_flight), 0)::bigint as in_flight
  from tenants;

-- name: doubts
select count(*) as count, coalesce(max(extract(epoch from now() - started_at)), 0)::float as age
  from request where outcome is null and doubt is not null;

-- name: connections
select case when a.parked_at is not null then 'parked'
            when t.blocked_until = 'infinity' then
              case when t.blocked_why in ('unauthorised', 'disconnected') then 'unconnected' else 'parked' end
            when c.paused_at is not null then 'paused' else 'open' end as state, count(*)
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null group by 1;

-- name: outbox
select sink, count(*), extract(epoch from now() - min(created_at))::float as age
  from outbox where done_at is null group by sink;

-- name: failed
select coalesce(code, 'unknown') as code, count(*) from document where state = 'failed' group by 1;

-- name: dead
select coalesce(code, 'unknown') as code, count(*) from event where outcome = 'dead' group by 1;

-- name: findings
select class, count(*) from finding where closed_at is null group by class;

-- name: reconciled
-- The newest completed run of each connection; null where there is none.
select extract(epoch from now() - j.ended_at)::float as age, (j.result -> 'exceptions')::text as exceptions
  from connection c
  left join lateral (
    select ended_at, result from job
     where kind = 'reconcile' and args ->> 'connection' = c.code and ended_at is not null
       and jsonb_typeof(result -> 'exceptions') = 'object'
     order by ended_at desc limit 1) j on true
 where c.removed_at is null;
