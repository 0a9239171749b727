-- name: lock_connection
select c.id, c.tenant_id, t.authorisation_id, c.removed_at is not null as retired, t.blocked_why = 'disconnected' is true as disconnected,
       exists (select from connection o where o.tenant_id = c.tenant_id and o.id <> c.id and o.removed_at is null) as shares_tenant,
       exists (select from connection o join tenant u on u.id = o.tenant_id
                where u.authorisation_id = t.authorisation_id and o.id <> c.id and o.removed_at is null) as shares_client
  from connection c join tenant t on t.id = c.tenant_id where c.code = $1 for update of c;

-- name: open_documents
-- What of it is not at its end yet, and what has failed and is not announced yet, by state.
select case when state in ('waiting', 'ready', 'sending', 'failed') then state else 'not announced' end as state, count(*) as count
  from document d
 where d.connection_id = $1
   and (d.state in ('waiting', 'ready', 'sending', 'failed')
        or d.id = any(array(select document_id from outbox where done_at is null)))
 group by 1 order by 1;

-- name: waiting
-- Held, the first $3 of them behind $2.
select id from document where connection_id = $1 and state = 'waiting' and id > $2 order by id limit $3 for update;

-- name: leave_waiting
-- As what a person ignores: nothing of it is sent until Lago asks for something else.
update document
   set state = case when xero_id is not null then 'synced' else 'skipped' end, cause = $2, wait_until = null
 where id = any($1::bigint[]) and state = 'waiting';

-- name: audit
insert into audit (who, action, subject, reason) values ($1, 'retire', $2, $3) returning id;

-- name: retire
update connection set removed_at = now(), paused_at = null where id = $1;

-- name: close_alarms
update finding set closed_at = now() where connection_id = $1 and document_id is null and closed_at is null;

-- name: forget_client
-- The secret of a client that no connection uses any more, and its tokens; $2 is an empty text, encrypted.
update authorisation
   set secret = $2, tokens = null, generation = generation + 1, claimed_until = null,
       parked_at = coalesce(parked_at, now()), parked_why = coalesce(parked_why, 'disconnected')
 where id = $1;
