-- name: contacts_left
select d.id from document d join unnest($1::uuid[], $2::bigint[]) as h (customer_id, connection_id)
    on d.kind = 'contact' and d.lago_id = h.customer_id and d.connection_id = h.connection_id;

-- name: credit_left
-- What Lago has left of the credit notes that Xero has of these contacts' customers, and what was posted as
-- overpayments, by currency, in subunits: all of it where the customer has another home, else what is on other
-- contacts than the one that he has here. What is not known to be there is elsewhere.
select d.id as contact, n.currency, sum(c.cents)::bigint as cents
  from document d
  join document n on n.customer_id = d.lago_id and n.connection_id = d.connection_id
                 and n.kind in ('credit_note', 'overpayment') and n.wanted is not null
                 and (n.xero_id is not null or n.by_hand is not null)
  join object k on k.kind = 'customer' and k.lago_id = d.lago_id
               and (k.connection_id is distinct from d.connection_id
                    or n.contact_id is null or n.contact_id <> d.xero_id and n.contact_id <> all(d.merged))
  left join object o on n.kind = 'credit_note' and o.kind = 'credit_note' and o.lago_id = n.lago_id
 cross join lateral (select case when n.kind = 'overpayment' then n.amount_cents
                                 else (o.facts #>> '{balance,1}')::bigint end as cents) as c
 where d.id = any($1::bigint[]) and n.currency is not null and c.cents > 0
 group by d.id, n.currency
 order by d.id, n.currency;

-- name: close_credit_left
update finding set closed_at = now()
 where document_id = any($1::bigint[]) and class = 'credit_left_behind' and closed_at is null;

-- name: customers
-- A page of those whom Lago has told of, of one external id.
select lago_id from object
 where kind = 'customer' and lago_id > $1 and lago_id = any(array(
         select lago_id from object where kind = 'customer' and lago_id > $1 order by lago_id limit $3))
   and facts #>> '{content,1,external_id}' = $2;

-- name: page_end
select max(lago_id::text)::uuid as last
  from (select lago_id from object where kind = 'customer' and lago_id > $1 order by lago_id limit $2) page;

-- name: contact
-- What the customer's contact in a connection is by now.
select d.xero_id from document d
 where d.kind = 'contact' and d.lago_id = $1 and d.connection_id = $2;

-- name: customer
select from object where kind = 'customer' and lago_id = $1;

-- name: plan_object
insert into release (cause) values ($1);
