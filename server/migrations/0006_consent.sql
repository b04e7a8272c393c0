-- The ledger is read newest first, whole or for one client.
create index consents_newest on consents (business_id, created_at desc, consent_id desc);
create index consents_of_client on consents (business_id, client_id, created_at desc, consent_id desc) where client_id is not null;
-- The latest message about an appointment, when an opt-out word comes in.
create index messages_about on messages (business_id, conversation_id, occurred_at desc) where external_ref is not null and direction = 'outbound';
