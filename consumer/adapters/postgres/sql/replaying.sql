-- name: standing
-- What the ledger made of these events, and when Kafka first got them.
select digest, outcome, appended_at from event where digest = any($1::bytea[]);

-- name: homes
-- Where objects belong: an invoice to its connection, all else to its customer.
select kind, lago_id, customer_id, connection_id
  from object join unnest($1::text[], $2::uuid[]) as k (kind, lago_id) using (kind, lago_id);

-- name: objects
select o.kind, o.lago_id, o.organization_id, o.customer_id, o.connection_id, o.first_seen, o.event_id,
       o.invoice_ids, o.facts::text as facts
  from object o
  join unnest($1::text[], $2::uuid[]) as k (kind, lago_id) using (kind, lago_id);

-- name: documents
-- (``offset 0``: each is looked up by index.)
select d.id, d.connection_id, d.tenant_id, d.kind, d.lago_id, d.part, d.target, d.number, d.wanted, d.state, d.cause,
       d.step, d.xero_id
  from unnest($1::text[], $2::uuid[]) as k (kind, lago_id)
 cross join lateral (select * from document where kind = k.kind and lago_id = k.lago_id offset 0) d;

-- name: connection
select id from connection where code = $1 and removed_at is null;

-- name: begin
with audited as (
  insert into audit (who, action, subject, reason) values ($1, 'replay', $2, $3)
)
insert into job (kind, args, cursor, result) values ('replay', $4::jsonb, '{}', '{}') returning id;

-- name: job
select args::text as args, cursor::text as cursor, result::text as result, ended_at
  from job where id = $1 and kind = 'replay';

-- name: advance
update job set cursor = $2::jsonb, result = $3::jsonb where id = $1;

-- name: end
update job set ended_at = now() where id = $1 and ended_at is null;

-- name: resumed
insert into audit (who, action, subject, reason) values ($1, 'replay', $2, $3);
