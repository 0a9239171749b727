-- name: mappings
-- Of one tenant's connections, or of all.
select m.connection_id, m.entity, m.kind, m.key, m.item, m.account, m.tax_type
  from mapping m join connection c on c.id = m.connection_id
 where m.unset_at is null and ($1::uuid is null or c.tenant_id = $1);

-- name: unset_mappings
update mapping set unset_at = now()
 where connection_id = $1 and unset_at is null
   and (entity, kind, key) in (select * from unnest($2::text[], $3::text[], $4::text[]));

-- name: set_mappings
insert into mapping (connection_id, entity, kind, key, item, account, tax_type, set_by)
select $1, u.*, $2 from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[]) as u;

-- name: tenant_of
select tenant_id from connection where code = $1 and removed_at is null;

-- name: history
-- The rows of one connection, current ones or all, the newest last; with what is wrong with them.
select m.entity, m.kind, m.key, m.item, m.account, m.tax_type, m.set_by, m.set_at, m.unset_at
  from mapping m join connection c on c.id = m.connection_id
 where c.code = $1 and c.removed_at is null and ($2 or m.unset_at is null)
 order by m.entity, m.kind, m.key, m.id;
