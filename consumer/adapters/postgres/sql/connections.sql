-- name: connections
select c.id, c.code, c.organization_id, c.tenant_id, c.name, c.settings::text as settings, a.client_id,
       t.authorisation_id,
       a.parked_at is not null or t.blocked_until = 'infinity' is true as parked,
       c.paused_at is not null as paused
  from connection c
  join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null and ($1::uuid is null or c.tenant_id = $1) order by c.code;

-- name: put_tenant
-- Applying is how a person says that access works again.
insert into tenant (id, authorisation_id, organisation, due_at, chart_read_at) values ($1, $2, $3::jsonb, now(), now())
on conflict (id) do update
   set authorisation_id = excluded.authorisation_id, organisation = excluded.organisation, due_at = now(),
       chart_read_at = now(), chart_try_at = null,
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

-- name: retired
select organization_id, tenant_id from connection where code = $1 and removed_at is not null;

-- name: put_connection
insert into connection (organization_id, code, name, tenant_id, settings) values ($1, $2, $3, $4, $5::jsonb)
on conflict (code) do update
   set organization_id = excluded.organization_id, name = excluded.name, tenant_id = excluded.tenant_id,
       settings = excluded.settings, revision = connection.revision + 1, removed_at = null
returning id;

-- name: raise_revision
update configuration set revision = revision + 1;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, $2, $3, $4);
