-- What is lacking that Lago's API may tell, and when each of it is asked for next. Causes are those of
-- domain/causes.py.

-- name: lacking_documents
-- A page of the documents that only a message of Lago's can help (the index ``document_lacking``), in the
-- order of their ids; what they lack is noted once. A payment whose split is unknown lacks the other payments
-- of its invoices, by which it is told; a refund that has to succeed first its note's word that it has.
with page as materialized (
  select id, kind, lago_id, state, code, split_part(cause, ':', 1) as why,
         substring(cause from '^[a-z_]+:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:@|$)')::uuid as named
    from document
   where state in ('waiting', 'failed')
     and (code = 'tax_ambiguous' or cause like 'content:%' or cause like 'lago\_invoice:%' or cause like 'credit\_note:%'
          or cause like 'residual:%' or cause like 'split:%' or cause like 'policy:refunds@%')
     and id > $1
   order by id limit $2
), lacking as (
  select 'invoice' as kind, 'invoice' as of, named as id from page where why in ('content', 'lago_invoice')
  union
  select 'credit_note', 'credit_note', o.lago_id
    from page p join object o on o.kind = 'credit_note' and o.lago_id = p.named
   where p.why = 'content' or p.why = 'credit_note' and o.facts -> 'content' is null
  union
  select 'credit_note', 'credit_note', lago_id from page where why = 'policy'
  union
  select 'payments', 'invoice', named from page where why = 'residual'
  union
  select 'payments', 'invoice', unnest(o.invoice_ids)
    from page p join object o on o.kind = 'payment' and o.lago_id = p.named where p.why = 'split'
  union
  select kind || '_taxes', kind, lago_id from page
   where state = 'failed' and code = 'tax_ambiguous' and kind in ('invoice', 'credit_note')
), noted as (
  insert into question (kind, lago_id, organization_id, next_at)
  select l.kind, l.id, o.organization_id, now() + $4::interval
    from lacking l join object o on o.kind = l.of and o.lago_id = l.id
   where o.organization_id = $3
   order by l.kind, l.id -- for replicas that note the same at once
      on conflict do nothing
)
select count(*) as looked, max(id) as last from page;

-- name: lacking_objects
-- The same of objects, in the order of Lago's ids: customers whom no message has listed the links of, and
-- credit notes with credit left, of which none tells that it was voided; these are looked at once a day.
with page as materialized (
  select lago_id, organization_id, lacking from object where lacking is not null and lago_id > $1
   order by lago_id limit $2
), noted as (
  insert into question (kind, lago_id, organization_id, next_at)
  select case lacking when 'links' then 'customer' else 'credit' end, lago_id, organization_id,
         now() + case lacking when 'links' then $4::interval else $5::interval end
    from page where organization_id = $3
   order by 1, lago_id
      on conflict do nothing
)
select count(*) as looked, (array_agg(lago_id order by lago_id desc))[1] as last from page;

-- name: due
-- The question that is due longest; whoever has it holds its row.
select kind, lago_id from question
 where organization_id = $1 and next_at <= now() and kind <> all($2::text[])
 order by next_at limit 1
   for update skip locked;

-- name: forget_unneeded
-- Unless something still lacks the answer: messages may have brought it meanwhile.
delete from question q
 where q.kind = $1 and q.lago_id = $2
   and not case q.kind
     when 'invoice' then
       exists (select from document d where d.cause = any(array['content:' || $2::uuid, 'lago_invoice:' || $2::uuid])
                                        and d.state in ('waiting', 'failed') offset 0)
     when 'credit_note' then
       exists (select from document d where d.cause = 'content:' || $2::uuid and d.state in ('waiting', 'failed') offset 0)
       or exists (select from document d where d.source = $2 and d.state in ('waiting', 'failed')
                                           and d.cause like 'credit\_note:%' offset 0)
          and exists (select from object o where o.kind = 'credit_note' and o.lago_id = $2 and o.facts -> 'content' is null)
       or exists (select from document d where d.lago_id = $2 and d.state = 'waiting'
                                           and d.cause like 'policy:refunds@%' offset 0)
     when 'payments' then
       exists (select from document d where d.cause = 'residual:' || $2::uuid and d.state in ('waiting', 'failed') offset 0)
       or exists (select from document d where d.target = $2 and d.state in ('waiting', 'failed')
                                           and d.cause like 'split:%' offset 0)
     when 'customer' then
       exists (select from object o where o.kind = 'customer' and o.lago_id = $2 and o.lacking = 'links')
     when 'credit' then
       exists (select from object o where o.kind = 'credit_note' and o.lago_id = $2 and o.lacking = 'credit')
     else
       exists (select from document d where d.lago_id = $2 and d.kind || '_taxes' = $1 and d.state = 'failed'
                                        and d.code = 'tax_ambiguous' offset 0)
   end
returning 1;

-- name: hold_off
-- Whoever asks has so long; if nothing is heard of him it is asked again.
update question q set asks = asks + 1, next_at = now() + $3::interval
 where q.kind = $1 and q.lago_id = $2
returning asks, (select o.facts #>> '{content,1,external_id}' from object o
                  where q.kind = 'customer' and o.kind = 'customer' and o.lago_id = q.lago_id) as external_id;

-- name: later
update question set next_at = now() + $3::interval, last_error = $4 where kind = $1 and lago_id = $2;
