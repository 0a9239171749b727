-- Gauges are read every few seconds: without these each look would read all documents and all findings.

-- This one is written so that no other query can take it: for a while after a topic was read Postgres knows
-- nothing of how many documents are ready, and would look through all of them for the next one.
create index document_open on document (kind, state) where strpos('waiting ready sending failed', state) > 0;
create index finding_open on finding (class) where closed_at is null;
create index job_done on job (kind, (args ->> 'connection'), ended_at) where ended_at is not null;
