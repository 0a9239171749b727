-- Whoever has restored the database from a backup says to when: what was sent since is looked up in Xero.

alter table tenant
  add column restored_at timestamptz, -- the database was set back to then: Xero may have more
  add column restored_on timestamptz -- when that was said: of what was sent before nothing arrives much later
;

alter table document
  add column told_at timestamptz, -- when Kafka got the message that it was first made of
  add column sought_at timestamptz -- when it was last looked up for that
;
