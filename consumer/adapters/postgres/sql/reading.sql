-- name: connections
select c.code, c.name, c.organization_id, c.tenant_id, a.client_id, c.settings::text as settings,
       (select count(*) from mapping m where m.connection_id = c.id and m.unset_at is null) as mappings,
       a.parked_at, a.parked_why
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null order by c.code;

-- name: documents
select d.id, c.code as connection, d.kind, d.lago_id, d.number, d.state, d.cause, d.code, d.said, d.hint,
       d.attempts, d.currency, d.dated, d.net, d.tax, d.total, d.xero_net, d.xero_tax, d.xero_total, d.xero_id,
       d.xero_status, d.drift, t.organisation ->> 'short_code' as short_code
  from document d
  left join connection c on c.id = d.connection_id left join tenant t on t.id = d.tenant_id
 where ($1::text is null or d.state = $1) and ($2::text is null or d.kind = $2)
   and ($3::text is null or c.code = $3)
 order by d.id desc limit $4;

-- name: document
-- By number or Lago id: two indexed conditions.
select d.id, c.code as connection, d.kind, d.lago_id, d.number, d.state, d.cause, d.code, d.said, d.hint,
       d.attempts, d.currency, d.dated, d.net, d.tax, d.total, d.xero_net, d.xero_tax, d.xero_total, d.xero_id,
       d.xero_status, d.drift, t.organisation ->> 'short_code' as short_code
  from document d
  left join connection c on c.id = d.connection_id left join tenant t on t.id = d.tenant_id
 where d.number = $1 or d.lago_id = $2
 order by d.id desc limit 50;

-- name: states
select coalesce(c.code, '(no connection)') as connection, d.kind, d.state, count(*)
  from document d left join connection c on c.id = d.connection_id group by 1, 2, 3 order by 1, 2, 3;

-- name: tenants
select t.id as tenant,
       (select string_agg(c.code, ', ' order by c.code) from connection c
         where c.tenant_id = t.id and c.removed_at is null) as connections,
       a.parked_at, a.parked_why, t.blocked_until::text as blocked_until, t.blocked_why,
       (select count(*) from request r where r.tenant_id = t.id and r.started_at > now() - interval '24 h') as calls_today,
       (select count(*) from request r where r.tenant_id = t.id and r.outcome is null and r.doubt is not null) as in_doubt,
       (select extract(epoch from now() - min(d.ready_at))::float from document d
         where d.tenant_id = t.id and d.state = 'ready') as oldest_ready_seconds
  from tenant t join authorisation a on a.id = t.authorisation_id order by t.id;

-- name: outbox
select sink, count(*) from outbox where done_at is null group by sink order by sink;
