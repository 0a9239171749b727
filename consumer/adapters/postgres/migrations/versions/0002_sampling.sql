-- Gauges are read every few seconds: without these each look would read all documents and all findings.

create index document_open on document (state, kind) where state in ('waiting', 'ready', 'sending', 'failed');
create index finding_open on finding (class) where closed_at is null;
create index job_done on job (kind, (args ->> 'connection'), ended_at) where ended_at is not null;
