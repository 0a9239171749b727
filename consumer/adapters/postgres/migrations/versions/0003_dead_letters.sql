-- How often in a row a person has tried it again for the same reason, and what that was.

alter table document add column redriven smallint not null default 0, add column redriven_for text;
