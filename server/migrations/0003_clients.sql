-- Clients as people: what is known of them, how they are found, merged, brought in and forgotten.

alter table clients
  add column language text,
  add column tags text[] not null default '{}',
  add column metadata jsonb not null default '{}',
  -- The name without case and accents, cut short; U+10FFFF (last of all) where there is none.
  add column sort_name text not null default U&'\+10FFFF',
  -- What the client is found by: `<business_id>/<word>` for each word of the name and each address. The
  -- business stands in the word because a GIN index has no leading column of another kind without an
  -- extension, and a prefix search must not walk through the words of every other business.
  add column search_words tsvector not null default '',
  -- Merged into this client: whoever names this id means that one. Never a chain: the last one stands here.
  add column merged_into bigint,
  add column merged_at timestamptz,
  add column erased_at timestamptz;

update clients c set
  sort_name = coalesce(nullif(left(lower(c.name), 60), ''), U&'\+10FFFF'),
  search_words = array_to_tsvector(array(
    select c.business_id || '/' || word from (
      select regexp_split_to_table(lower(c.name), '[^[:alnum:]]+') as word
      union
      select address from client_addresses a where a.business_id = c.business_id and a.client_id = c.client_id
      union
      select ltrim(address, '+') from client_addresses a
      where a.business_id = c.business_id and a.client_id = c.client_id and a.kind = 'phone'
    ) words where word <> ''
  ));

drop index clients_by_name;
create index clients_by_name on clients (business_id, sort_name collate "C", client_id) where merged_into is null and erased_at is null;
create index clients_by_last_seen on clients (business_id, coalesce(last_seen_at, '-infinity'::timestamptz) desc, client_id desc) where merged_into is null and erased_at is null;
create index clients_newest on clients (business_id, created_at desc, client_id desc) where merged_into is null and erased_at is null;
create index clients_search on clients using gin (search_words);
create index clients_merged on clients (business_id, merged_into) where merged_into is not null;

-- The order that the host gave them in; 0 is the primary one.
alter table client_addresses add column position integer not null default 0;
create index client_addresses_of_client on client_addresses (business_id, client_id);

-- Where a conversation went whose messages were folded into another when clients were merged.
create table conversation_redirects (
  business_id bigint not null,
  conversation_id uuid not null,
  merged_into uuid not null,
  created_at timestamptz not null,
  primary key (business_id, conversation_id)
);
create index conversation_redirects_to on conversation_redirects (business_id, merged_into);

-- One phone, several people: since when messages stand here of which staff have not said whose they
-- are, and the address that the candidates share.
alter table conversations
  add column shared_kind text,
  add column shared_address text,
  add column identity_reason text check (identity_reason in ('last_messaged', 'last_seen')),
  add column ambiguous_since timestamptz,
  add column identity_confirmed_at timestamptz;
alter table messages add column ambiguous boolean not null default false;
create index messages_ambiguous on messages (business_id, conversation_id) where ambiguous;

-- A stream of clients on its way in: how far it is, and what was wrong with which row.
create table client_imports (
  business_id bigint not null references businesses,
  import_id uuid not null,
  request_id text not null,
  format text not null check (format in ('ndjson', 'csv')),
  status text not null check (status in ('running', 'complete', 'interrupted')),
  note text,
  rows integer not null default 0,
  created integer not null default 0,
  updated integer not null default 0,
  unchanged integer not null default 0,
  failed integer not null default 0,
  last_row integer not null default 0,
  started_at timestamptz not null,
  updated_at timestamptz not null,
  finished_at timestamptz,
  primary key (business_id, import_id),
  unique (business_id, request_id)
);
create index client_imports_newest on client_imports (business_id, started_at desc, import_id desc);

create table client_import_errors (
  business_id bigint not null,
  import_id uuid not null,
  row_number integer not null,
  position integer not null,
  path text not null,
  message text not null,
  primary key (business_id, import_id, row_number, position),
  foreign key (business_id, import_id) references client_imports
);

-- What erasing a client reaches for: the few kinds of events that hold more than ids, and what carriers
-- posted about a message.
create index events_about_client on events (business_id, (data ->> 'client_id'))
  where type in ('client.created', 'client.updated', 'client.merged', 'consent.granted', 'consent.revoked', 'message.failed', 'message.undelivered', 'appointment.possible_cancellation');
create index carrier_events_of_message on carrier_events (business_id, provider_message_id);
