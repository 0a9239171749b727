-- Whatever is a customer's ($1): his object, those that name him, and payments that name only his invoices.

-- name: open_documents
-- What of his is not at its end yet, and what has failed and is not announced yet; a few of them. What no
-- connection serves may wait for ever: nothing of it is sent before somebody applies one.
select d.id, d.kind, d.number, d.state from document d
 where d.customer_id = $1
   and (d.state in ('ready', 'sending', 'failed')
        or d.state = 'waiting' and (d.connection_id is not null or d.wait_until is not null)
        or exists (select from outbox o where o.document_id = d.id and o.done_at is null offset 0))
 order by d.id limit $2;

-- name: open_calls
-- Calls about him that may still be settled, or whose bodies are looked at again.
select count(*) as count, max(greatest(r.deadline_at, r.audit_at)) as until from request r
 where r.body is not null and (r.outcome is null or r.audit_at is not null or r.deadline_at > now())
   and r.id in (select m.request_id from document d join member m on m.document_id = d.id where d.customer_id = $1);

-- name: dead_records
-- A page of records that could not be read; ``his``: one of the texts ($2) is in it.
select e.id, exists (select from unnest($2::bytea[]) as t (text) where position(t.text in r.value) > 0) as his
  from event e left join event_raw r on r.event_id = e.id
 where e.outcome = 'dead' and e.id > $1 order by e.id limit $3;

-- name: messages
-- A page of the messages that are kept as received; ``his``: they are about him or an object of his, or
-- were set aside unread and have one of the texts ($3) in them. What a document is open because of stays.
with page as materialized (
  select r.event_id, e.kind, e.lago_id, e.outcome
    from event_raw r join event e on e.id = r.event_id
   where r.event_id > $1 and r.event_id <= $5 order by r.event_id limit $4
)
select p.event_id as id,
       p.outcome = 'merged'
       and not exists (select from document d
                        where d.event_id = p.event_id
                          and (d.state in ('ready', 'sending', 'failed')
                               or d.state = 'waiting' and (d.connection_id is not null or d.wait_until is not null))
                        offset 0)
       and exists (
         select from object o
          where o.kind = p.kind and o.lago_id = p.lago_id
            and (o.customer_id = $2 or o.kind = 'customer' and o.lago_id = $2
                 or o.customer_id is null
                    and exists (select from object i where i.kind = 'invoice' and i.lago_id = any(o.invoice_ids)
                                                       and i.customer_id = $2 offset 0))
         offset 0)
       or p.outcome not in ('merged', 'dead') and exists (
         select from event_raw r, unnest($3::bytea[]) as t (text)
          where r.event_id = p.event_id and position(t.text in r.value) > 0 offset 0) as his
  from page p order by p.event_id;

-- name: last_message
select coalesce(max(event_id), 0) from event_raw;

-- name: drop_messages
delete from event_raw where event_id = any($1::bigint[]) returning event_id;

-- name: bodies
-- Of a page of his documents, the calls whose bodies are kept yet.
with page as materialized (
  select id from document where customer_id = $1 and id > $2 order by id limit $3
)
select (select max(id) from page) as last,
       array(select distinct r.id from page p join member m on m.document_id = p.id join request r on r.id = m.request_id
              where r.body is not null and r.outcome is not null and r.audit_at is null and r.deadline_at <= now()) as ids;

-- name: drop_bodies
update request set body = null where id = any($1::uuid[]);

-- name: ask_no_more
-- Lago's API is not asked about him by itself any more.
with asked as (
  delete from question where lago_id = any(array(select lago_id from object where customer_id = $1))
)
update object set lacking = null where customer_id = $1 and lacking is not null;
