-- name: mappings
-- Of one tenant's connections, or of all.
select m.connection_id, m.entity, m.kind, m.key, m.item, m.account, m.tax_type
  from mapping m join connection c on c.id = m.connection_id
 where m.unset_at is null and ($1::uuid is null or c.tenant_id = $1);

-- name: mappings_of
select entity, kind, key, item, account, tax_type from mapping where connection_id = $1 and unset_at is null;

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
-- The rows of one connection, current ones or all, each mapping's newest last.
select m.entity, m.kind, m.key, m.item, m.account, m.tax_type, m.set_by, m.set_at, m.unset_at
  from mapping m join connection c on c.id = m.connection_id
 where c.code = $1 and c.removed_at is null and ($2 or m.unset_at is null)
 order by m.entity, m.kind, m.key, m.id;

-- name: problems
select f.facts ->> 'path' as path, f.facts ->> 'said' as said
  from finding f join connection c on c.id = f.connection_id
 where c.code = $1 and f.document_id is null and f.closed_at is null and f.facts ? 'path' order by f.id;

-- name: invoices
-- A page of a connection's invoices.
select lago_id from document
 where connection_id = $1 and kind = 'invoice' and state <> 'skipped' and lago_id > $2
 order by lago_id limit $3;

-- name: fees
-- What the fees of these invoices are for, and what of them is in Xero.
select coalesce(k.facts #>> '{content,1,billing_entity_code}', '') as entity, fee #>> '{item,type}' as type,
       fee #>> '{item,code}' as code, fee #>> '{item,lago_item_id}' as item_id,
       coalesce(i.facts #>> '{content,1,currency}', '') as currency, count(distinct d.lago_id) as invoices,
       coalesce(sum((fee ->> 'amount_cents')::numeric
                    - coalesce((fee ->> 'precise_coupons_amount_cents')::numeric, 0))
                filter (where d.xero_id is not null), 0) as posted
  from document d join object i on i.kind = 'invoice' and i.lago_id = d.lago_id
  left join object k on k.kind = 'customer' and k.lago_id = d.customer_id
  cross join lateral json_array_elements(
    case when json_typeof(i.facts #> '{content,1,fees}') = 'array' then i.facts #> '{content,1,fees}' else '[]' end) fee
 where d.connection_id = $1 and d.kind = 'invoice' and d.lago_id = any($2::uuid[])
 group by 1, 2, 3, 4, 5;

-- name: taxes
-- The taxes on these invoices, and what they were applied to of what is in Xero.
select coalesce(k.facts #>> '{content,1,billing_entity_code}', '') as entity, levy ->> 'tax_code' as code,
       json_typeof(levy -> 'lago_tax_id') = 'null' is true as provider,
       coalesce(i.facts #>> '{content,1,currency}', '') as currency, count(distinct d.lago_id) as invoices,
       coalesce(sum((levy ->> 'fees_amount_cents')::numeric) filter (where d.xero_id is not null), 0) as posted
  from document d join object i on i.kind = 'invoice' and i.lago_id = d.lago_id
  left join object k on k.kind = 'customer' and k.lago_id = d.customer_id
  cross join lateral json_array_elements(
    case when json_typeof(i.facts #> '{applied_taxes,1}') = 'array' then i.facts #> '{applied_taxes,1}' else '[]' end) levy
 where d.connection_id = $1 and d.kind = 'invoice' and d.lago_id = any($2::uuid[]) and levy ->> 'tax_code' <> ''
 group by 1, 2, 3, 4;
