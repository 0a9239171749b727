-- name: version
select current_setting('server_version_num')::int as version;

-- name: now
select clock_timestamp() as now;

-- name: secrets
select client_id, secret, tokens from authorisation order by id;

-- name: connections
select c.code, c.paused_at, c.tenant_id, c.organization_id, t.authorisation_id, t.blocked_why, a.client_id, a.parked_why,
       (select count(*) from document d where d.cause = 'scope@' || c.code) as scope_missing
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null order by c.code;

-- name: charts
select string_agg(c.code, ', ' order by c.code) as codes, t.chart_read_at as read_at,
       coalesce(t.chart_read_at < now() - $1::interval, true) as old
  from tenant t join connection c on c.tenant_id = t.id and c.removed_at is null
  join authorisation a on a.id = t.authorisation_id
 where a.parked_at is null and t.blocked_until is distinct from 'infinity'
 group by t.id order by 1;

-- name: alarms
select c.code, f.facts ->> 'path' as path, f.facts ->> 'said' as said, f.facts ->> 'hint' as hint
  from finding f join connection c on c.id = f.connection_id and c.removed_at is null
 where f.document_id is null and f.closed_at is null and f.class in ('chart_broke_mapping', 'tax_rate_differs')
 order by c.code, 2;
