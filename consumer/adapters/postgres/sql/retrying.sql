-- name: count
-- Failed documents by code; of those that are named, also what a person has set aside.
select coalesce(d.code, 'ignored') as code, count(*) as count
  from document d left join connection c on c.id = d.connection_id
 where (d.state = 'failed' or $1::bigint[] is not null and d.cause like 'ignored:%')
   and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
 group by 1 order by 1;

-- name: failed
-- A page of them, held, without those that failed for the same reason $9 times in a row though they were
-- tried again; whoever else changed one meanwhile is seen.
select d.id, coalesce(d.code, 'ignored') as code
  from document d left join connection c on c.id = d.connection_id
 where (d.state = 'failed' or $1::bigint[] is not null and d.cause like 'ignored:%')
   and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
   and d.id > $7
   and not ($9::int is not null and d.redriven >= $9 and d.redriven_for = concat_ws(' ', d.code, d.cause))
 order by d.id limit $8
   for update of d;

-- name: looping
-- Those that ``failed`` leaves out.
select d.id, d.code, d.redriven
  from document d left join connection c on c.id = d.connection_id
 where d.state = 'failed' and ($1::bigint[] is null or d.id = any($1)) and ($2::text is null or c.code = $2)
   and ($3::text is null or d.kind = $3) and ($4::text is null or d.code = $4)
   and ($5::timestamptz is null or d.failed_at >= $5) and ($6::timestamptz is null or d.failed_at < $6)
   and d.redriven >= $7 and d.redriven_for = concat_ws(' ', d.code, d.cause)
 order by d.id;

-- name: count_redrives
-- The same reason in a row; another one is counted from the beginning.
update document
   set redriven = case when redriven_for = concat_ws(' ', code, cause) then redriven + 1 else 1 end,
       redriven_for = concat_ws(' ', code, cause)
 where id = any($1::bigint[]) and state = 'failed';

-- name: audit
insert into audit (who, action, subject, reason) values ($1, 'retry', $2, $3) returning id;

-- name: plan_again
-- The service plans what has this cause, with the settings of its time. The documents are held.
with stale as (
  update document
     set state = 'waiting', cause = $2, wait_until = null, attempts = 0, batch_limit = null,
         code = null, said = null, hint = null
   where id = any($1::bigint[]) and (state = 'failed' or cause like 'ignored:%')
  returning id
)
insert into release (cause) select $2 where exists (select from stale);

-- name: connection
select from connection where code = $1;
