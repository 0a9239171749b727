-- name: charts
-- Of one tenant, or of all.
select tenant_id, kind, code, facts::text as facts from chart
 where gone_at is null and ($1::uuid is null or tenant_id = $1);

-- name: organisations
select id, organisation::text as organisation from tenant where $1::uuid is null or id = $1;

-- name: put_chart
insert into chart (tenant_id, kind, code, facts)
select $1, * from unnest($2::text[], $3::text[], $4::jsonb[])
on conflict (tenant_id, kind, code) do update set facts = excluded.facts, seen_at = now(), gone_at = null;

-- name: gone_from_chart
update chart set gone_at = now()
 where tenant_id = $1 and gone_at is null
   and (kind, code) not in (select * from unnest($2::text[], $3::text[]));

-- name: claim
-- The tenant whose chart was read longest ago, for one pod; one that may not be asked now waits.
update tenant set chart_try_at = now() + $2::interval
 where id = (
   select t.id from tenant t join authorisation a on a.id = t.authorisation_id
    where coalesce(t.chart_read_at, '-infinity') <= now() - $1::interval
      and coalesce(t.chart_try_at, '-infinity') <= now()
      and coalesce(t.blocked_until, '-infinity') <= now() and a.parked_at is null
      and exists (select from connection c where c.tenant_id = t.id and c.removed_at is null)
    order by t.chart_read_at nulls first, t.id limit 1
      for update of t skip locked)
returning id, authorisation_id;

-- name: postpone
update tenant set chart_try_at = now() + $2::interval where id = $1;

-- name: read
update tenant set chart_read_at = now(), chart_try_at = null, organisation = $2::jsonb where id = $1;

-- name: whose
-- The tenants of these connections, or of all; without a consent there is nothing to ask.
select c.code, c.tenant_id, t.authorisation_id, a.client_id,
       a.parked_at is not null or t.blocked_until = 'infinity' is true as parked
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null and ($1::text[] is null or c.code = any($1)) order by c.code;
