-- name: hold
-- Whoever judges a connection's mappings does so alone.
select id from connection where id = $1 for no key update;

-- name: open
select id, class, facts ->> 'path' as path, facts ->> 'said' as said from finding
 where connection_id = $1 and document_id is null and closed_at is null and class = any($2::text[]);

-- name: raise
insert into finding (connection_id, class, facts)
select $1, u.class, jsonb_build_object('path', u.path, 'said', u.said, 'hint', u.hint)
  from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as u (class, path, said, hint);

-- name: close
update finding set closed_at = now() where id = any($1::bigint[]);

-- name: announce
insert into outbox (sink, connection_id, class, code, said, hint)
select 'webhook', $1, 'Unmapped', u.code, u.said, u.hint
  from unnest($2::text[], $3::text[], $4::text[]) as u (code, said, hint);

-- name: rates
-- What the newest of some invoices says of each tax; ids have no order, so that it is a fair sample.
select distinct on (code) code, rate
  from (select tax ->> 'tax_code' as code, (tax ->> 'tax_rate')::numeric as rate,
               i.facts #>> '{content,1,issuing_date}' as day
          from (select lago_id from document where connection_id = $1 and kind = 'invoice' and state <> 'skipped'
                 order by lago_id limit $2) d
          join object i on i.kind = 'invoice' and i.lago_id = d.lago_id
          cross join lateral json_array_elements(
            case when json_typeof(i.facts #> '{applied_taxes,1}') = 'array' then i.facts #> '{applied_taxes,1}'
                 else '[]' end) tax) as told
 where code is not null and rate is not null
 order by code, day desc nulls last;
