-- name: mark
-- An earlier restore may not be over yet: what it has to look up is older.
update tenant set restored_at = least(restored_at, $1::timestamptz), restored_on = now()
 where id in (select tenant_id from connection) returning id;

-- name: distrust
-- What was under way then may have been given up and sent anew since, under another key: none of it is sent
-- again before it was looked up.
update request set resendable = false where outcome is null and resendable returning id;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, 'restored', $2, $3);

-- name: stored
-- By partition the offset behind the last record that the ledger knows.
select topic, partition, max("offset") + 1 as next from event where topic = any($1::text[]) group by topic, partition;

-- name: marked
select count(*) from tenant where id in (select tenant_id from connection);

-- name: in_doubt
select count(*) from request where outcome is null and look_at is not null;
