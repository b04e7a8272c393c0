-- What carriers post, byte for byte, before anything of it is believed or read. Looked up across
-- businesses: whose it is may be known only once it is believed, or never.
create table webhook_receipts (
  receipt_id uuid primary key,
  source text not null,
  provider text not null,
  -- null: not known, or several
  business_id bigint,
  method text not null,
  url text not null,
  -- Encrypted: they can hold a password (Postmark's webhooks) and are needed to judge it again.
  sealed_headers text not null,
  body bytea not null,
  -- Of the source, the URL, the headers that prove it and the body: the same rubbish twice is one row.
  digest text not null,
  state text not null check (state in ('kept', 'applied', 'ignored', 'unreadable', 'quarantined', 'failed')),
  note text,
  -- How often it was applied in vain.
  tries integer not null default 0,
  -- How often the same came while in quarantine.
  times integer not null default 1,
  received_at timestamptz not null,
  settled_at timestamptz
);
create unique index webhook_receipts_quarantined on webhook_receipts (source, digest) where state = 'quarantined';
create index webhook_receipts_kept on webhook_receipts (received_at) where state = 'kept';
-- The list, newest first (ids are in the order of time), and what is thrown away when it is old.
create index webhook_receipts_by_state on webhook_receipts (state, receipt_id desc);
create index webhook_receipts_of_provider on webhook_receipts (provider, receipt_id desc);
create index webhook_receipts_of_business on webhook_receipts (business_id, receipt_id desc) where business_id is not null;

-- From what a carrier names in a callback (an account, a topic) to the businesses whose it is.
create table provider_account_names (
  business_id bigint not null,
  provider text not null,
  -- A keyed hash of the name.
  name_key text not null,
  primary key (business_id, provider, name_key),
  foreign key (business_id, provider) references provider_accounts on delete cascade
);
create index provider_account_names_by_name on provider_account_names (provider, name_key);

-- The receipt that an event was read from: erasing the one erases the other.
alter table carrier_events add column receipt_id uuid;
