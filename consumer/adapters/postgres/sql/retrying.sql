-- name: count
-- Failed documents by code.
select d.code, count(*) as count
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
 group by d.code order by d.code;

-- name: failed
-- A page of failed documents, held; whoever else changed one meanwhile is seen.
select d.id, d.code
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4) and d.id > $5
 order by d.id limit $6
   for update of d;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, 'retry', $2, $3) returning id;

-- name: plan_again
-- The service plans what has this cause, with the settings of its time. The documents are held.
with stale as (
  update document
     set state = 'waiting', cause = $2, wait_until = null, attempts = 0, batch_limit = null,
         code = null, said = null, hint = null
   where id = any($1::bigint[]) and state = 'failed'
  returning id
)
insert into release (cause) select $2 where exists (select from stale);

-- name: connection
select from connection where code = $1;
