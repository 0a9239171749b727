-- name: pause
update connection set paused_at = now() where code = $1 and paused_at is null returning paused_at;

-- name: resume
update connection set paused_at = null where code = $1 and paused_at is not null returning tenant_id;

-- name: release
insert into release (cause) values ($1);

-- name: wake
update tenant set due_at = least(due_at, now()) where id = $1;

-- name: audit
insert into audit (who, action, subject, reason) values ($1, $2, $3, $4);

-- name: paused
-- The connections that are paused: since when, by whom, why.
select c.code, c.paused_at as since, a.who, a.reason
  from connection c
  left join lateral (select who, reason from audit
                      where action = 'pause' and subject = c.code order by id desc limit 1) a on true
 where c.paused_at is not null and c.removed_at is null order by c.code;
