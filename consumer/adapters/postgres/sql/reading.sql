-- name: connections
select c.code, c.name, c.organization_id, c.tenant_id, a.client_id, c.settings::text as settings,
       (select count(*) from mapping m where m.connection_id = c.id and m.unset_at is null) as mappings,
       a.parked_at,
       coalesce(a.parked_why,
                case when t.blocked_why in ('forbidden', 'unauthorised', 'disconnected') then t.blocked_why end)
       as parked_why, c.paused_at
  from connection c join tenant t on t.id = c.tenant_id join authorisation a on a.id = t.authorisation_id
 where c.removed_at is null order by c.code;

-- name: documents
select d.id, c.code as connection, d.kind, d.part, d.lago_id, d.target, d.number, d.state, d.cause, d.code,
       d.said, d.hint, d.attempts, d.failed_at, d.currency, d.dated, d.net, d.tax, d.total, d.xero_net, d.xero_tax,
       d.xero_total, d.xero_id, d.xero_status, d.drift, c.paused_at, t.organisation ->> 'short_code' as short_code
  from document d
  left join connection c on c.id = d.connection_id left join tenant t on t.id = d.tenant_id
 where ($1::text is null or d.state = $1) and ($2::text is null or d.kind = $2)
   and ($3::text is null or c.code = $3) and ($4::text is null or d.code = $4)
   and ($5::text is null or starts_with(d.cause, $5))
 order by d.id desc limit $6;

-- name: object_documents
-- By number, Lago id or document id, with what is made of an invoice under ids of its own. Each is looked
-- up by its index.
with numbered as materialized (
  select lago_id from document where number = $1
), meant as materialized (
  select lago_id from numbered
  union select $2::uuid where $2 is not null
  union select lago_id from document where id = $3 and not exists (select from numbered)
), made as materialized (
  select id from document where lago_id = any(array(select lago_id from meant))
  union
  select id from document
   where target = any(array(select lago_id from meant))
     and (kind = 'allocation' and part = '' or kind in ('payment', 'overpayment') and part = 'residual')
)
select d.id, c.code as connection, d.kind, d.part, d.lago_id, d.target, d.number, d.state, d.cause, d.code,
       d.said, d.hint, d.attempts, d.failed_at, d.currency, d.dated, d.net, d.tax, d.total, d.xero_net, d.xero_tax,
       d.xero_total, d.xero_id, d.xero_status, d.drift, c.paused_at, t.organisation ->> 'short_code' as short_code,
       d.id = $3 is true and not exists (select from numbered) as by_id
  from document d
  left join connection c on c.id = d.connection_id left join tenant t on t.id = d.tenant_id
 where d.id = any(array(select id from made))
 order by d.id desc limit 1000;

-- name: belonging
-- Whose contact it is, by his external id; the number of what a payment or an allocation is on.
select d.id,
       coalesce(o.facts #>> '{content,1,external_id}',
                (select max(p.number) from document p
                  where p.lago_id = coalesce(d.target, d.source) and p.kind in ('invoice', 'credit_note'))) as of
  from document d
  left join object o on d.kind = 'contact' and o.kind = 'customer' and o.lago_id = d.lago_id
 where d.id = any($1::bigint[]) and d.kind not in ('invoice', 'credit_note');

-- name: named
select id, kind, coalesce(number, lago_id::text) as name, case when state = 'failed' then code end as failed_as
  from document where id = any($1::bigint[]);

-- name: findings
select document_id, class, facts::text as facts, xero_id, first_seen
  from finding where document_id = any($1::bigint[]) and closed_at is null order by id;

-- name: objects
select kind, facts::text <> '{}' as told from object where lago_id = $1;

-- name: dead_count
select count(*) from event where outcome = 'dead';

-- name: dead_naming
-- Of the newest dead records those that hold this text.
select e.id, e.code, e.said, e.hint
  from (select id, code, said, hint from event where outcome = 'dead' order by id desc limit 10000) e
  join event_raw r on r.event_id = e.id
 where position($1::bytea in r.value) > 0
 order by e.id desc limit 3;

-- name: states
select coalesce(c.code, '(no connection)') as connection, d.kind, d.state, count(*)
  from document d left join connection c on c.id = d.connection_id group by 1, 2, 3 order by 1, 2, 3;

-- name: tenants
select t.id as tenant,
       (select string_agg(c.code, ', ' order by c.code) from connection c
         where c.tenant_id = t.id and c.removed_at is null) as connections,
       (select string_agg(c.code, ', ' order by c.code) from connection c
         where c.tenant_id = t.id and c.removed_at is null and c.paused_at is not null) as paused,
       a.parked_at, a.parked_why, t.blocked_until::text as blocked_until, t.blocked_why,
       (select count(*) from request r where r.tenant_id = t.id and r.started_at > now() - interval '24 h') as calls_today,
       (select count(*) from request r where r.tenant_id = t.id and r.outcome is null and r.doubt is not null) as in_doubt,
       (select extract(epoch from now() - min(d.ready_at))::float from document d
         where d.tenant_id = t.id and d.state = 'ready') as oldest_ready_seconds
  from tenant t join authorisation a on a.id = t.authorisation_id
 where exists (select from connection c where c.tenant_id = t.id and c.removed_at is null) order by t.id;

-- name: outbox
select sink, count(*) from outbox where done_at is null group by sink order by sink;
