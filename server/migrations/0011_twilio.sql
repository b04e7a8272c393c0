-- The carrier refused the account itself: nothing is sent with it until it is let in again.
alter table provider_accounts add column paused_at timestamptz;
alter table provider_accounts add column paused_reason text;

-- Where a file of an inbound message was fetched from; null for what came with it.
alter table attachments add column source_url text;
