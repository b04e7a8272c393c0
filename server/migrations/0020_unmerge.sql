-- What a merge did, so that a wrong one can be taken back. One made before this has no row.
create table client_merges (
  business_id bigint not null,
  -- UUIDv7, made while both clients are locked: what is written to them later has a later id.
  merge_id uuid not null,
  merged_client_id bigint not null,
  into_client_id bigint not null,
  -- The ids that led to the merged client already.
  led jsonb not null,
  -- What the merged client was and had; empty once the merge was undone, or either of them erased.
  brought jsonb not null,
  -- What of it the other one took over for want of its own.
  took jsonb not null,
  merged_at timestamptz not null,
  undone_at timestamptz,
  primary key (business_id, merge_id),
  foreign key (business_id, merged_client_id) references clients (business_id, client_id),
  foreign key (business_id, into_client_id) references clients (business_id, client_id)
);
create index client_merges_of on client_merges (business_id, merged_client_id, merge_id desc);
create index client_merges_into on client_merges (business_id, into_client_id);

-- The messages that the merged client brought, and the conversation they stood in.
create table client_merge_messages (
  business_id bigint not null,
  message_id uuid not null,
  merge_id uuid not null,
  conversation_id uuid not null,
  primary key (business_id, message_id, merge_id),
  foreign key (business_id, message_id) references messages (business_id, message_id) on delete cascade,
  foreign key (business_id, merge_id) references client_merges (business_id, merge_id) on delete cascade
);
create index client_merge_messages_of on client_merge_messages (business_id, merge_id, message_id);

-- Why a mail stands in its conversation; `moved` of any message that was put there later.
alter table messages add column threading_reason text
  check (threading_reason in ('reply_address', 'references', 'sender_address', 'moved'));

drop index events_about_client;
create index events_about_client on events (business_id, (data ->> 'client_id'))
  where type in ('client.created', 'client.updated', 'client.merged', 'client.unmerged', 'consent.granted', 'consent.revoked',
    'message.failed', 'message.undelivered', 'appointment.possible_cancellation');
