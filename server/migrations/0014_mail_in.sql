-- What carriers tell is applied once: the provider's own id of the event, where it gives one.
alter table carrier_events add column event_key text;
create unique index carrier_events_once on carrier_events (business_id, provider, event_key) where event_key is not null;

-- The message of ours that it names, whatever id the carrier has for it: erasing the one finds the other.
alter table carrier_events add column message_id uuid;
create index carrier_events_naming on carrier_events (business_id, message_id) where message_id is not null;

-- What the sender wrote now, without the quoted tail; null where that is all of `content`.
alter table messages add column reply_text text;
-- What the receiving server found out about the sender: SPF, DKIM, DMARC.
alter table messages add column sender_authentication jsonb;

-- Mailgun signs a timestamp and a token, and nothing of what it posts: a token stands for the one thing that it came with.
create table webhook_tokens (
  provider text not null,
  token_hash text not null,
  -- Of what came with it.
  digest text not null,
  received_at timestamptz not null,
  primary key (provider, token_hash)
);
create index webhook_tokens_by_age on webhook_tokens (received_at);
