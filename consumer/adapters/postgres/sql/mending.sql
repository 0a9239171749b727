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

-- name: release_kinds
-- What a tenant's documents wait or failed for, by kinds of causes.
insert into release (cause)
select distinct cause from document
 where tenant_id = $1 and cause is not null and state in ('waiting', 'failed', 'skipped')
   and substring(cause from '^[^:@]+') = any($2::text[]);
