-- name: claim
-- Hidden for a lease, not locked: publishing happens outside any transaction.
with due as (
  select id from outbox where sink = $1 and done_at is null and next_at <= now()
   order by next_at, id limit $2 for update skip locked
), claimed as (
  update outbox o set next_at = now() + $3::interval from due where o.id = due.id returning o.*
)
select o.id, o.class, o.code, o.said, o.hint, o.created_at, o.attempts,
       d.id as document_id, d.kind as document_kind, coalesce(d.lago_id, e.lago_id) as lago_id, d.number,
       coalesce(d.attempts, 1) as failing_attempts, d.customer_id,
       coalesce(c.organization_id, e.organization_id) as organization_id,
       c.code as connection_code, c.name as connection_name,
       k.facts #>> '{content,1,external_id}' as external_customer_id,
       encode(e.digest, 'hex') as event_key, e.appended_at, e.topic, e.partition, e."offset",
       r.key, r.value, r.headers,
       coalesce(o.event_id, d.event_id) is not null and r.event_id is null as pruned
  from claimed o
  left join document d on d.id = o.document_id
  left join event e on e.id = coalesce(o.event_id, d.event_id)
  left join event_raw r on r.event_id = e.id
  left join connection c on c.id = coalesce(o.connection_id, d.connection_id)
  left join object k on k.kind = 'customer' and k.lago_id = d.customer_id
 order by o.id;

-- name: done
update outbox set done_at = now() where id = any($1::bigint[]);

-- name: later
update outbox o
   set attempts = o.attempts + 1, next_at = now() + make_interval(secs => u.seconds), last_error = u.why
  from unnest($1::bigint[], $2::float[], $3::text[]) as u (id, seconds, why)
 where o.id = u.id and o.done_at is null;
