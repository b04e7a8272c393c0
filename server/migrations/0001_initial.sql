-- The model of Omega. business_id stands first in every tenant key, so that the schema can later be
-- distributed by it; no statement may rely on a default that is not immutable (times are passed in).

create table businesses (
  business_id bigint primary key check (business_id between 1 and 9007199254740991),
  name text not null,
  country text not null,
  time_zone text not null,
  -- The last event's number: taken with the row locked, so a business's events have no gap.
  event_sequence bigint not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null
);

create table locations (
  business_id bigint not null references businesses,
  location_id bigint not null,
  name text not null,
  time_zone text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, location_id)
);

create table staffs (
  business_id bigint not null references businesses,
  staff_id bigint not null,
  name text not null,
  email text,
  phone text,
  role text not null check (role in ('manager', 'staff')),
  active boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, staff_id)
);

create table staff_locations (
  business_id bigint not null,
  staff_id bigint not null,
  location_id bigint not null,
  primary key (business_id, staff_id, location_id),
  foreign key (business_id, staff_id) references staffs,
  foreign key (business_id, location_id) references locations
);

-- The business's own addresses: what it sends from and is written to at.
create table senders (
  business_id bigint not null references businesses,
  sender_id uuid not null,
  channel text not null,
  address text not null,
  name text,
  provider text not null,
  location_id bigint,
  active boolean not null default true,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, sender_id),
  unique (business_id, channel, address),
  foreign key (business_id, location_id) references locations
);
-- A carrier's callback names the address alone.
create index senders_by_address on senders (address, channel);

-- Carriers' credentials, encrypted with OMEGA_SECRET.
create table provider_accounts (
  business_id bigint not null references businesses,
  provider text not null,
  sealed_credentials text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, provider)
);

create table onboarding_steps (
  business_id bigint not null references businesses,
  name text not null,
  position integer not null,
  status text not null check (status in ('pending', 'running', 'done', 'failed', 'skipped')),
  error text,
  remedy text,
  updated_at timestamptz not null,
  primary key (business_id, name)
);

create table clients (
  business_id bigint not null references businesses,
  client_id bigint not null check (client_id between 1 and 9007199254740991),
  name text,
  location_id bigint,
  time_zone text,
  -- Made by Omega for an unknown address (client_id from 2^40), until merged into a host client.
  provisional boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  last_seen_at timestamptz,
  primary key (business_id, client_id)
);
create index clients_by_name on clients (business_id, lower(name) text_pattern_ops, client_id);

-- One row an address. Its unique key is what two first contacts at the same moment meet at.
create table addresses (
  business_id bigint not null references businesses,
  kind text not null check (kind in ('phone', 'email', 'other')),
  address text not null,
  created_at timestamptz not null,
  primary key (business_id, kind, address)
);

-- Whose address it is: several people may share a phone.
create table client_addresses (
  business_id bigint not null,
  kind text not null,
  address text not null,
  client_id bigint not null,
  is_primary boolean not null,
  created_at timestamptz not null,
  primary key (business_id, kind, address, client_id),
  foreign key (business_id, kind, address) references addresses,
  foreign key (business_id, client_id) references clients
);
create unique index client_addresses_primary on client_addresses (business_id, client_id, kind) where is_primary;

-- What a client allowed or refused, by address and channel, append-only: the evidence.
create table consents (
  business_id bigint not null references businesses,
  consent_id uuid not null,
  channel text not null,
  address text not null,
  category text not null check (category in ('transactional', 'marketing', 'all')),
  state text not null check (state in ('granted', 'revoked')),
  source text not null,
  evidence jsonb not null,
  client_id bigint,
  created_at timestamptz not null,
  primary key (business_id, consent_id)
);
create index consents_latest on consents (business_id, channel, address, created_at desc, consent_id desc);

create table conversations (
  business_id bigint not null,
  conversation_id uuid not null,
  client_id bigint not null,
  status text not null check (status in ('open', 'pending', 'snoozed', 'closed')),
  snoozed_until timestamptz,
  assignee_staff_id bigint,
  location_id bigint,
  -- The newest message with the client (notes do not count); its status is read from its own row.
  last_message_id uuid,
  last_message_at timestamptz,
  last_activity_at timestamptz not null,
  unread_count integer not null default 0 check (unread_count >= 0),
  waiting_since timestamptz,
  channels text[] not null default '{}',
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, conversation_id),
  foreign key (business_id, client_id) references clients,
  foreign key (business_id, assignee_staff_id) references staffs
);
-- At most one that is not closed: what concurrent create-or-retrieve calls meet at.
create unique index conversations_one_open on conversations (business_id, client_id) where status <> 'closed';
create index conversations_by_client on conversations (business_id, client_id, created_at desc);
create index conversations_newest on conversations (business_id, last_activity_at desc, conversation_id desc);
create index conversations_waiting on conversations (business_id, waiting_since, conversation_id) where waiting_since is not null;
create index conversations_unread on conversations (business_id, last_activity_at desc, conversation_id desc) where unread_count > 0;
create index conversations_by_assignee on conversations (business_id, assignee_staff_id, last_activity_at desc, conversation_id desc);

create table messages (
  business_id bigint not null,
  message_id uuid not null,
  conversation_id uuid not null,
  client_id bigint not null,
  channel text not null,
  direction text not null check (direction in ('inbound', 'outbound', 'internal')),
  status text not null,
  content text not null,
  subject text,
  media_urls jsonb not null default '[]',
  from_address text,
  to_address text,
  sent_by bigint,
  sender_type text not null,
  category text,
  location_id bigint,
  segments integer,
  encoding text,
  provider text,
  provider_message_id text,
  provider_status text,
  error_code text,
  error_message text,
  reason text,
  attempts integer not null default 0,
  -- The conversation's counter is the sum of these.
  unread boolean not null default false,
  external_ref jsonb,
  metadata jsonb not null default '{}',
  request_id text,
  send_at timestamptz,
  occurred_at timestamptz not null,
  created_at timestamptz not null,
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  failed_at timestamptz,
  primary key (business_id, message_id),
  foreign key (business_id, conversation_id) references conversations
);
create index messages_of_conversation on messages (business_id, conversation_id, occurred_at, message_id);
create index messages_unread on messages (business_id, conversation_id) where unread;
create index messages_of_request on messages (business_id, request_id, message_id);
-- The same message of a carrier is one message, however often it is told.
create unique index messages_by_provider_id on messages (business_id, provider, provider_message_id) where provider_message_id is not null;

-- Each time a message is handed to a carrier. Written before the call: `claimed` after a crash means
-- that the outcome is not known.
create table attempts (
  business_id bigint not null,
  message_id uuid not null,
  attempt_no integer not null,
  state text not null check (state in ('claimed', 'accepted', 'refused', 'unknown', 'absent')),
  provider text not null,
  provider_message_id text,
  error_code text,
  error_message text,
  claimed_at timestamptz not null,
  settled_at timestamptz,
  primary key (business_id, message_id, attempt_no),
  foreign key (business_id, message_id) references messages
);
create index attempts_by_provider_id on attempts (provider, provider_message_id) where provider_message_id is not null;

-- Everything that happened to a message, in order.
create table message_timeline (
  business_id bigint not null,
  message_id uuid not null,
  entry_id uuid not null,
  kind text not null,
  at timestamptz not null,
  data jsonb not null,
  primary key (business_id, message_id, entry_id)
);

-- Writes by their request id: what makes them repeatable.
create table requests (
  business_id bigint not null,
  request_id text not null,
  operation text not null,
  fingerprint text not null,
  status integer,
  answer jsonb,
  sealed_answer text,
  created_at timestamptz not null,
  primary key (business_id, request_id)
);
create index requests_by_age on requests (created_at);

-- What happened, in a sequence without gaps for each business.
create table events (
  business_id bigint not null references businesses,
  sequence bigint not null,
  event_id uuid not null,
  type text not null,
  actor jsonb not null,
  origin jsonb not null,
  changed jsonb,
  data jsonb not null,
  created_at timestamptz not null,
  primary key (business_id, sequence)
);

-- What carriers posted to us, kept before it is understood.
create table carrier_events (
  carrier_event_id uuid primary key,
  provider text not null,
  kind text not null,
  business_id bigint,
  provider_message_id text,
  payload jsonb not null,
  state text not null check (state in ('kept', 'applied', 'parked', 'refused')),
  tries integer not null default 0,
  note text,
  received_at timestamptz not null,
  settled_at timestamptz
);
create index carrier_events_parked on carrier_events (provider, provider_message_id) where state = 'parked';
create index carrier_events_open on carrier_events (received_at) where state <> 'applied';

create table api_keys (
  key_id uuid primary key,
  -- Null: a platform key, for every business.
  business_id bigint references businesses,
  name text not null,
  hash text not null unique,
  hint text not null,
  scopes text[] not null,
  created_at timestamptz not null,
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz
);
create index api_keys_of_business on api_keys (business_id);

create table sessions (
  business_id bigint not null,
  session_id uuid not null,
  staff_id bigint not null,
  hash text not null unique,
  key_id uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  expired_at timestamptz,
  primary key (business_id, session_id),
  foreign key (business_id, staff_id) references staffs
);

-- Jobs that failed for good, for people to look at (`omega doctor`).
create table dead_letters (
  dead_letter_id uuid primary key,
  queue text not null,
  business_id bigint,
  job jsonb not null,
  error jsonb,
  created_at timestamptz not null
);

-- The simulated carrier's own books: what it accepted, under its own ids.
create table simulator_messages (
  provider_message_id text primary key,
  business_id bigint not null,
  message_id uuid not null,
  channel text not null,
  from_address text not null,
  to_address text not null,
  content text not null,
  accepted_at timestamptz not null
);
create index simulator_messages_listing on simulator_messages (business_id, to_address, accepted_at);
-- How often each number was tried, for those that fail at first.
create table simulator_tries (
  business_id bigint not null,
  message_id uuid not null,
  tries integer not null,
  primary key (business_id, message_id)
);
