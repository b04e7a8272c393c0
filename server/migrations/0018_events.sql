-- Events are kept for a while, and then forgotten, the oldest first.
create index events_by_age on events (created_at);
