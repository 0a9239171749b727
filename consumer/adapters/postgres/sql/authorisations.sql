-- name: authorisation
select a.id, client_id, kind, secret, tokens, generation, extract(epoch from good_until - now())::float as good_for,
       exists (select from tenant t join connection c on c.tenant_id = t.id and c.removed_at is null
                where t.authorisation_id = a.id and c.settings ->> 'excess' = 'overpayment') as overpays
  from authorisation a where a.id = $1;

-- name: authorisations
select a.id, client_id, kind, secret, tokens, generation, extract(epoch from good_until - now())::float as good_for,
       exists (select from tenant t join connection c on c.tenant_id = t.id and c.removed_at is null
                where t.authorisation_id = a.id and c.settings ->> 'excess' = 'overpayment') as overpays
  from authorisation a;

-- name: put_authorisation
-- Applying is how a person says that access works again; for a consent only if somebody has let us in.
insert into authorisation (client_id, kind, secret, parked_at, parked_why)
values ($1, $2, $3, case when not $4 then now() end, case when not $4 then 'unauthorised' end)
on conflict (client_id) do update
   set kind = excluded.kind, secret = excluded.secret,
       tokens = case when excluded.kind = authorisation.kind then authorisation.tokens end,
       generation = authorisation.generation + (excluded.kind <> authorisation.kind)::int,
       parked_at = case when not $4 then coalesce(authorisation.parked_at, now()) end,
       parked_why = case when not $4 then coalesce(authorisation.parked_why, 'unauthorised') end
returning id;

-- name: put_tokens
update authorisation
   set tokens = $2, good_until = now() + $3::interval, renewed_at = now(), claimed_until = null,
       generation = generation + 1
 where id = $1;

-- name: save_tokens
update authorisation
   set tokens = $3, good_until = now() + $4::interval, renewed_at = now(), claimed_until = null,
       generation = generation + 1
 where id = $1 and generation = $2 returning generation;

-- name: claim_renewal
update authorisation set claimed_until = now() + $3::interval
 where id = $1 and generation = $2 and (claimed_until is null or claimed_until <= now()) returning id;

-- name: unclaim_renewal
update authorisation set claimed_until = case when not $3 then now() end where id = $1 and generation = $2;

-- name: resting
-- Tokens nobody used for long, and renewals that somebody began and never ended.
select a.id, t.id as tenant_id
  from authorisation a
  cross join lateral (select id from tenant where authorisation_id = a.id limit 1) t
 where a.tokens is not null and a.parked_at is null
   and (a.claimed_until < now() or a.renewed_at < now() - $1::interval)
 order by a.renewed_at limit $2;

-- name: forget_tokens
-- The one set may serve other tenants.
update authorisation a
   set tokens = null, generation = generation + 1, claimed_until = null, parked_at = now(),
       parked_why = 'disconnected'
 where a.kind = 'consent' and a.tokens is not null
   and id = (select t.authorisation_id from connection c join tenant t on t.id = c.tenant_id where c.code = $1)
   and not exists (select from tenant t join connection c on c.tenant_id = t.id and c.removed_at is null
                    where t.authorisation_id = a.id and t.blocked_why is distinct from 'disconnected')
returning id;

-- name: secrets_page
select id, secret, tokens from authorisation where id > $1 order by id limit $2 for update;

-- name: put_secrets
update authorisation set secret = $2, tokens = $3 where id = $1;
