-- name: connections
select c.id, c.code, c.organization_id, c.tenant_id, c.name, c.settings::text as settings, a.client_id,
       a.parked_at is not null or t.blocked_until = 'infinity' is true as parked
  from connection c
  join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null order by c.code;

-- name: mappings
select connection_id, entity, kind, key, item, account, tax_type from mapping where unset_at is null;

-- name: charts
select tenant_id, kind, code, facts::text as facts from chart where gone_at is null;

-- name: organisations
select id, organisation::text as organisation from tenant;

-- name: put_tenant
-- Applying is how a person says that access works again.
insert into tenant (id, authorisation_id, organisation, due_at) values ($1, $2, $3::jsonb, now())
on conflict (id) do update
   set authorisation_id = excluded.authorisation_id, organisation = excluded.organisation, due_at = now(),
       blocked_until = case when tenant.blocked_until < 'infinity' then tenant.blocked_until end,
       blocked_why = case when tenant.blocked_until < 'infinity' then tenant.blocked_why end;

-- name: put_parked_tenant
-- Nobody has let us in: nothing is sent until somebody does.
insert into tenant (id, authorisation_id, blocked_until, blocked_why) values ($1, $2, 'infinity', 'unauthorised')
on conflict (id) do update
   set authorisation_id = excluded.authorisation_id, blocked_until = 'infinity',
       blocked_why = case when tenant.blocked_until = 'infinity' then tenant.blocked_why else 'unauthorised' end;

-- name: move_documents
update document set tenant_id = $3 where connection_id = $1 and tenant_id = $2;

-- name: forget_tenant
-- Two connections never share a stand-in.
delete from tenant t where id = $1 and not exists (select from connection c where c.tenant_id = t.id);

-- name: disconnect_tenant
update tenant set blocked_until = 'infinity', blocked_why = 'disconnected'
 where id = (select tenant_id from connection where code = $1);

-- name: wake_authorisations
-- An authorisation may reach tenants beside those that were applied.
with locked as (select id from tenant where authorisation_id = any($1::bigint[]) order by id for update)
update tenant t set due_at = now() from locked where t.id = locked.id;

-- name: put_connection
insert into connection (organization_id, code, name, tenant_id, settings) values ($1, $2, $3, $4, $5::jsonb)
on conflict (code) do update
   set organization_id = excluded.organization_id, name = excluded.name, tenant_id = excluded.tenant_id,
       settings = excluded.settings, revision = connection.revision + 1, removed_at = null
returning id;

-- name: unset_mappings
update mapping set unset_at = now()
 where connection_id = $1 and unset_at is null
   and (entity, kind, key) in (select * from unnest($2::text[], $3::text[], $4::text[]));

-- name: set_mappings
insert into mapping (connection_id, entity, kind, key, item, account, tax_type, set_by)
select $1, u.*, $2 from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) as u;

-- name: put_chart
insert into chart (tenant_id, kind, code, facts)
select $1, * from unnest($2::text[], $3::text[], $4::jsonb[])
on conflict (tenant_id, kind, code) do update set facts = excluded.facts, seen_at = now(), gone_at = null;

-- name: gone_from_chart
update chart set gone_at = now()
 where tenant_id = $1 and gone_at is null
   and (kind, code) not in (select * from unnest($2::text[], $3::text[]));

-- name: raise_revision
update configuration set revision = revision + 1 returning revision;

-- name: release_causes
-- Everything that these connections' documents wait or failed for, and homes that may now be found.
insert into release (cause)
select distinct cause from document
 where cause is not null and state in ('waiting', 'failed', 'skipped')
   and (exists (select from unnest($1::text[]) as c (code) where right(cause, length(code) + 1) = '@' || code)
        or cause like 'home:%' and customer_id in (
             select customer_id from object where kind = 'customer' and organization_id = any($2::uuid[])));

-- name: refused
-- Documents of these connections or tenants that Xero refused for such a reason; nobody else is at work.
select id from document
 where state = 'failed' and code = any($1::text[]) and (connection_id = any($2::bigint[]) or tenant_id = any($3::uuid[]))
 order by id for update;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, $2, $3, $4);
