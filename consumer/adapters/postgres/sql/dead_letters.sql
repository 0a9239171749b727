-- name: documents
-- Failed documents, the newest failure first.
select 'doc:' || d.id as id, d.failed_at as at, c.code as connection, d.kind, d.number, d.lago_id, d.code, d.cause,
       d.said, d.hint, d.attempts, d.redriven
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
 order by d.failed_at desc nulls last, d.id desc limit $7;

-- name: events
-- Dead events, the newest first.
select 'event:' || e.id as id, e.received_at as at, null as connection, 'event' as kind, e.lago_key as number, e.lago_id,
       e.code, null as cause, e.said, e.hint, null as attempts, e.redriven
  from event e
 where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4)
 order by e.id desc limit $5;

-- name: document_groups
-- Failed documents by connection, kind and what mends them, with the newest of each.
select count(*) as count, c.code as connection, d.kind, d.code, d.cause, max(d.failed_at) as newest_at,
       (array_agg(d.id order by d.failed_at desc nulls last, d.id desc))[1] as newest
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
 group by c.code, d.kind, d.code, d.cause
 order by count(*) desc, max(d.failed_at) desc nulls last;

-- name: event_groups
select count(*) as count, null as connection, 'event' as kind, e.code, null as cause, max(e.received_at) as newest_at,
       max(e.id) as newest
  from event e
 where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4)
 group by e.code order by count(*) desc;

-- name: said_of_documents
select id, said, hint from document where id = any($1::bigint[]);

-- name: said_of_events
select id, said, hint from event where id = any($1::bigint[]);

-- name: event
-- One dead or discarded event; of its bytes only how many there are.
select 'event:' || e.id as id, e.outcome, encode(e.digest, 'hex') as digest, e.lago_key, e.organization_id, e.topic,
       e.partition, e."offset", e.appended_at, e.received_at, e.code, e.said, e.hint, e.redriven,
       octet_length(r.value) as bytes, r.event_id is not null as kept
  from event e left join event_raw r on r.event_id = e.id
 where e.id = $1 and e.outcome in ('dead', 'discarded');

-- name: records
-- A page of dead events as Kafka gave them, but for those that were dead for the same reason $7 times in a row.
select e.id, e.code, e.topic, e.partition, e."offset", e.appended_at, r.key, r.value, r.headers
  from event e join event_raw r on r.event_id = e.id
 where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4)
   and e.id > $5 and ($7::int is null or e.redriven < $7)
 order by e.id limit $6;

-- name: looping_events
select e.id, e.code, e.redriven from event e
 where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4) and e.redriven >= $5 order by e.id;

-- name: count_events
select e.code, count(*) as count from event e where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4) group by e.code order by e.code;

-- name: still_dead
select code, count(*) as count from event where id = any($1::bigint[]) and outcome = 'dead' group by code order by code;

-- name: take_up
-- What a person has discarded and names now is dead again, if its bytes are still kept.
update event set outcome = 'dead'
 where id = any($1::bigint[]) and outcome = 'discarded' and exists (select from event_raw where event_id = event.id);

-- name: page_of_documents
select d.id, d.code
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
   and d.id > $7
 order by d.id limit $8
   for update of d;

-- name: page_of_events
select e.id, e.code from event e
 where e.outcome = 'dead' and ($1::bigint[] is null or e.id = any($1)) and ($2::text is null or e.code = $2)
   and ($3::timestamptz is null or e.received_at >= $3) and ($4::timestamptz is null or e.received_at < $4) and e.id > $5
 order by e.id limit $6 for update;

-- name: discard_documents
-- What Xero has stays as it is there; an archived contact is of no use, and so leaves out what is for it.
update document d
   set state = case when xero_id is not null and code <> 'contact_archived' then 'synced' else 'skipped' end,
       cause = $2, wait_until = null, code = null, said = null, hint = null, batch_limit = null
 where id = any($1::bigint[]) and state = 'failed';

-- name: discard_events
update event set outcome = 'discarded' where id = any($1::bigint[]) and outcome = 'dead';

-- name: audit
insert into audit (who, action, subject, reason) values ($1, $2, $3, $4) returning id;

-- name: aside
-- Who has set a document aside when, and why.
select at as since, who, reason from audit where id = $1;
