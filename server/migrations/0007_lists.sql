-- The same request id with another stream is told by it.
alter table client_imports add column body_sha256 text;
-- Those who opted out of a channel are found among the few who ever refused.
create index consents_revoked on consents (business_id, channel, address) where state = 'revoked';
-- The clients of a place, and those few whom nobody knows yet, in the order of the list.
create index clients_of_location on clients (business_id, location_id, sort_name collate "C", client_id)
  where location_id is not null and merged_into is null and erased_at is null;
create index clients_provisional on clients (business_id, sort_name collate "C", client_id)
  where provisional and merged_into is null and erased_at is null;
