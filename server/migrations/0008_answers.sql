-- Since when the client waited whom this message answered. Where it is lost (failed, suppressed, called off), they wait again.
alter table messages add column answers_since timestamptz;
