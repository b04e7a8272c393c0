-- The same request id with another stream is told by it.
alter table client_imports add column body_sha256 text;
-- Those who opted out of a channel are found among the few who ever refused.
create index consents_revoked on consents (business_id, channel, address) where state = 'revoked';
-- The clients of a place, and those few whom nobody knows yet, in the order of the list.
create index clients_of_location on clients (business_id, location_id, sort_name collate "C", client_id)
  where location_id is not null and merged_into is null and erased_at is null;
create index clients_provisional on clients (business_id, sort_name collate "C", client_id)
  where provisional and merged_into is null and erased_at is null;

-- A phone is found by its last seven or four digits too.
update clients c set search_words = search_words || array_to_tsvector(array(
  select c.business_id || '/' || right(a.address, n) from client_addresses a, unnest(array[7, 4]) n
  where a.business_id = c.business_id and a.client_id = c.client_id and a.kind = 'phone'))
where exists (select 1 from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id and a.kind = 'phone');

-- Erasing a client looks for the kept answers that show them: not among those of sends and the like, which are by far
-- the most and show nobody. By the operation, which never changes: with the answer in an index, writing it would no
-- longer be a heap-only update.
create index requests_that_show on requests (business_id) where operation not in (
  'queueSms', 'recordSms', 'updateSmsStatus', 'queueEmail', 'recordEmail', 'updateEmailStatus', 'recordMessages', 'addNote', 'markMessagesRead', 'simulateInbound');
