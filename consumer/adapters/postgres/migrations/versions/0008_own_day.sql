-- Money that a person entered by hand is looked for around its own day, too, where a lock date had it sent with another.
alter table member add column own_day date;
