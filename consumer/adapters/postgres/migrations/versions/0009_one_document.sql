-- A customer, an invoice and a credit note have one document in a connection, which whoever looks for it relies
-- on: parts and targets are for money and allocations.
alter table document add constraint document_one
  check (kind not in ('contact', 'invoice', 'credit_note') or part = '' and target is null);
