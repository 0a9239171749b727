-- name: documents
-- What is settled is a counter's business; these are the states that can grow.
select kind, state, count(*) from document where state in ('waiting', 'ready', 'sending', 'failed') group by kind, state;

-- name: oldest_ready
select case when a.parked_at is not null then 'parked'
            when t.blocked_until > now() then coalesce(t.blocked_why, 'blocked')
            when t.due_at > now() then 'budget' else 'ready' end as reason,
       max(extract(epoch from now() - o.ready_at))::float as age
  from tenant t
  join authorisation a on a.id = t.authorisation_id
  cross join lateral (select min(ready_at) as ready_at from document
                       where tenant_id = t.id and state = 'ready') o
 where o.ready_at is not null
 group by 1;

-- name: paused
select count(*) from connection where paused_at is not null and removed_at is null;

-- name: outbox
select s.sink, count(o.id) from unnest(array['dead_letter', 'webhook']) as s (sink)
  left join outbox o on o.sink = s.sink and o.done_at is null group by s.sink;
