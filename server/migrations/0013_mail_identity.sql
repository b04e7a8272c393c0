-- A mail's Message-ID without its brackets: ours, or the provider's where it replaces ours, and the
-- sender's of an inbound one. Answers and bounces find the mail by it.
alter table messages add column mail_id text;
create index messages_by_mail_id on messages (business_id, mail_id) where mail_id is not null;

-- Where answers to a sender's mail go: `reply+…@` this domain, which finds the conversation.
alter table senders add column reply_domain text;
