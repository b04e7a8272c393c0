-- A scheduled message that its client's answer makes pointless.
alter table messages add column cancel_on_reply boolean not null default false;
create index messages_cancel_on_reply on messages (business_id, conversation_id) where cancel_on_reply;

-- The lists over a whole business: what happened, and what is due. None of their columns changes with a message's
-- status: an index that named the status would be written anew at each step of each message.
create index messages_recent on messages (business_id, occurred_at, message_id);
create index messages_due on messages (business_id, send_at, message_id) where send_at is not null;
