-- What a message of a channel goes from that names neither a sender nor a location: the first of these.
create index senders_default on senders (business_id, channel, (location_id is not null), created_at, sender_id) where active;

-- What is scheduled to go from a sender that is to be removed. Messages that go at once are not in it, and what changes with
-- a status does not touch it: their updates stay as cheap as they were.
create index messages_scheduled_from on messages (business_id, from_address, send_at)
  where direction = 'outbound' and send_at is not null;

-- How long a business keeps what its messages say, and how far the run is that takes it away. No row: for ever.
create table retention (
  business_id bigint primary key references businesses,
  -- null: for ever
  message_days integer check (message_days between 1 and 3650),
  -- When the next run is to begin; null while nothing is to be taken away.
  due_at timestamptz,
  -- The run under way: since when, how much, and the last message that it looked at.
  run_started_at timestamptz,
  run_purged integer not null default 0,
  run_at timestamptz,
  run_message_id uuid,
  -- The last run that came to its end.
  last_run_at timestamptz,
  last_run_purged integer,
  messages_purged bigint not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index retention_due on retention (due_at) where due_at is not null;

-- What carriers told and became no message: nothing leads to it but its business and age.
create index carrier_events_unapplied on carrier_events (business_id, received_at)
  where state in ('parked', 'refused') and payload ->> 'erased' is null;

-- What the simulator took is found by its message, when that loses its content.
create index simulator_messages_of on simulator_messages (business_id, message_id);
