-- What a message is found by. Its own table and not a column: a message's row is written anew with each
-- status, and would drag its words and their index along; here they are written once. Each lexeme begins
-- with its business ("1001:tomorrow"), so one index is tenant-first, and a prefix never leaves its tenant.
create table message_words (
  business_id bigint not null,
  message_id uuid not null,
  occurred_at timestamptz not null,
  channel text not null,
  direction text not null,
  words tsvector not null,
  primary key (business_id, message_id),
  foreign key (business_id, message_id) references messages on delete cascade
);
create index message_words_found on message_words using gin (words);
create index message_words_newest on message_words (business_id, occurred_at desc, message_id desc);
-- Messages from before: about the words that server/messages/words.ts makes.
insert into message_words (business_id, message_id, occurred_at, channel, direction, words)
select m.business_id, m.message_id, m.occurred_at, m.channel, m.direction,
  coalesce((
    select string_agg('''' || m.business_id || ':' || left(w.word[1], 64) || ''':' || w.place, ' ')
    from regexp_matches(
      regexp_replace(lower(normalize(coalesce(m.subject, '') || ' ' || left(m.content, 20000), NFKD)), U&'[\0300-\036f]', '', 'g'),
      '[[:alnum:]]+', 'g') with ordinality as w(word, place)
  ), '')::tsvector
from messages m;

-- Attempts up to this number were answered by a retry: what is still reported of them is history.
alter table messages add column superseded_attempts integer not null default 0;
-- Retries choose by when it failed. `status` in an index would make each status update touch every index.
create index messages_failed on messages (business_id, failed_at, message_id) where failed_at is not null;
-- What is about an appointment. The few that still wait are picked out by their status, for the same reason.
create index messages_by_external_ref on messages (business_id, (external_ref ->> 'type'), (external_ref ->> 'id')) where external_ref is not null;
