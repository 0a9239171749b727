-- A credit note goes to the contact of its invoice, which its customer may have left since.
alter table document add column contact_id uuid; -- of an invoice, a credit note, an overpayment: that which it, as sent, is on
