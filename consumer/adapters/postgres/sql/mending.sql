-- name: release_causes
-- Everything that these connections' documents wait or failed for or are left for in Xero (a void by the policy, a
-- draft by a switch), and homes that may now be found.
insert into release (cause)
select distinct cause from document
 where cause is not null and state in ('waiting', 'failed', 'skipped', 'synced')
   and (exists (select from unnest($1::text[]) as c (code) where right(cause, length(code) + 1) = '@' || code)
        or cause like 'home:%' and customer_id in (
             select customer_id from object where kind = 'customer' and organization_id = any($2::uuid[])));

-- name: try_again
-- A release of each code with which Xero refused some of these connections' or tenants' documents.
insert into release (cause)
select distinct 'again:' || case when connection_id = any($2::bigint[]) then 'connection:' || connection_id
                                 else 'tenant:' || tenant_id end || ':' || code
  from document
 where state = 'failed' and code = any($1::text[])
   and (connection_id = any($2::bigint[]) or tenant_id = any($3::uuid[]));

-- name: release_kinds
-- What a tenant's documents wait or failed for, by kinds of causes.
insert into release (cause)
select distinct cause from document
 where tenant_id = $1 and cause is not null and state in ('waiting', 'failed', 'skipped')
   and substring(cause from '^[^:@]+') = any($2::text[]);
