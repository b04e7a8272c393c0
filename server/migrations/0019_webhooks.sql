-- Where a business's events are posted to. `events` is the outbox: each webhook follows its sequence.
create table webhooks (
  business_id bigint not null references businesses,
  webhook_id uuid not null,
  url text not null,
  description text,
  -- null: every type
  types text[],
  exclude_own boolean not null,
  -- The key whose changes are its own: the one that last said what `exclude_own` is.
  key_id uuid,
  state text not null check (state in ('enabled', 'disabled', 'deleted')),
  disabled_reason text check (disabled_reason in ('by_request', 'gone', 'failing')),
  disabled_at timestamptz,
  sealed_secret text not null,
  sealed_old_secret text,
  old_secret_until timestamptz,
  -- The last event that deliveries were written for, or that it passed over.
  sequence bigint not null,
  failing_since timestamptz,
  failed_at timestamptz,
  -- Whether the last posts failed or took long: it is visited among its like.
  slow boolean not null default false,
  -- A job that visits it is in the queue since then; another need not be.
  queued_at timestamptz,
  -- A job that visits it is in the queue for then.
  later_at timestamptz,
  -- The job that visits it now, and until when that may take.
  busy_with uuid,
  busy_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, webhook_id)
);

-- An event that is to come to a webhook, once. Its payload is made when it is sent: nothing of a client stands here.
create table webhook_deliveries (
  business_id bigint not null,
  webhook_id uuid not null,
  -- The event's number.
  sequence bigint not null,
  delivery_id uuid not null,
  event_id uuid not null,
  type text not null,
  state text not null check (state in ('pending', 'delivered', 'failed')),
  attempts integer not null default 0,
  -- Attempts since it was last begun or replayed: its place in the schedule.
  tries integer not null default 0,
  next_attempt_at timestamptz,
  status_code integer,
  error text,
  created_at timestamptz not null,
  settled_at timestamptz,
  primary key (business_id, webhook_id, sequence),
  unique (business_id, delivery_id),
  foreign key (business_id, webhook_id) references webhooks on delete cascade
);
create index webhook_deliveries_due on webhook_deliveries (business_id, webhook_id, next_attempt_at) where state = 'pending';
create index webhook_deliveries_by_state on webhook_deliveries (business_id, webhook_id, state, sequence);
create index webhook_deliveries_by_type on webhook_deliveries (business_id, webhook_id, type, sequence);
create index webhook_deliveries_by_age on webhook_deliveries (created_at);

create table webhook_attempts (
  business_id bigint not null,
  webhook_id uuid not null,
  sequence bigint not null,
  attempt_no integer not null,
  status_code integer,
  error text,
  duration_ms integer not null,
  attempted_at timestamptz not null,
  primary key (business_id, webhook_id, sequence, attempt_no),
  foreign key (business_id, webhook_id, sequence) references webhook_deliveries on delete cascade
);
