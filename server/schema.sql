-- Made by `npm run schema` from server/migrations; do not edit.
CREATE TABLE public.addresses (
    business_id bigint NOT NULL,
    kind text NOT NULL,
    address text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT addresses_kind_check CHECK ((kind = ANY (ARRAY['phone'::text, 'email'::text, 'other'::text])))
);

CREATE TABLE public.api_keys (
    key_id uuid NOT NULL,
    business_id bigint,
    name text NOT NULL,
    hash text NOT NULL,
    hint text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone
);

CREATE TABLE public.attachments (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    attachment_id uuid NOT NULL,
    filename text NOT NULL,
    content_type text NOT NULL,
    size integer NOT NULL,
    sha256 text NOT NULL,
    content bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    source_url text
);

CREATE TABLE public.attempts (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    attempt_no integer NOT NULL,
    state text NOT NULL,
    provider text NOT NULL,
    provider_message_id text,
    error_code text,
    error_message text,
    claimed_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT attempts_state_check CHECK ((state = ANY (ARRAY['claimed'::text, 'accepted'::text, 'refused'::text, 'unknown'::text, 'absent'::text])))
);

CREATE TABLE public.businesses (
    business_id bigint NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    time_zone text NOT NULL,
    event_sequence bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT businesses_business_id_check CHECK (((business_id >= 1) AND (business_id <= '9007199254740991'::bigint)))
);

CREATE TABLE public.carrier_events (
    carrier_event_id uuid NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    business_id bigint,
    provider_message_id text,
    payload jsonb NOT NULL,
    state text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    note text,
    received_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    receipt_id uuid,
    event_key text,
    message_id uuid,
    CONSTRAINT carrier_events_state_check CHECK ((state = ANY (ARRAY['kept'::text, 'applied'::text, 'parked'::text, 'refused'::text])))
);

CREATE TABLE public.client_addresses (
    business_id bigint NOT NULL,
    kind text NOT NULL,
    address text NOT NULL,
    client_id bigint NOT NULL,
    is_primary boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    "position" integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.client_import_errors (
    business_id bigint NOT NULL,
    import_id uuid NOT NULL,
    row_number integer NOT NULL,
    "position" integer NOT NULL,
    path text NOT NULL,
    message text NOT NULL
);

CREATE TABLE public.client_imports (
    business_id bigint NOT NULL,
    import_id uuid NOT NULL,
    request_id text NOT NULL,
    format text NOT NULL,
    status text NOT NULL,
    note text,
    rows integer DEFAULT 0 NOT NULL,
    created integer DEFAULT 0 NOT NULL,
    updated integer DEFAULT 0 NOT NULL,
    unchanged integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    last_row integer DEFAULT 0 NOT NULL,
    started_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    body_sha256 text,
    CONSTRAINT client_imports_format_check CHECK ((format = ANY (ARRAY['ndjson'::text, 'csv'::text]))),
    CONSTRAINT client_imports_status_check CHECK ((status = ANY (ARRAY['running'::text, 'complete'::text, 'interrupted'::text])))
);

CREATE TABLE public.client_merge_messages (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    merge_id uuid NOT NULL,
    conversation_id uuid NOT NULL
);

CREATE TABLE public.client_merges (
    business_id bigint NOT NULL,
    merge_id uuid NOT NULL,
    merged_client_id bigint NOT NULL,
    into_client_id bigint NOT NULL,
    led jsonb NOT NULL,
    brought jsonb NOT NULL,
    took jsonb NOT NULL,
    merged_at timestamp with time zone NOT NULL,
    undone_at timestamp with time zone
);

CREATE TABLE public.clients (
    business_id bigint NOT NULL,
    client_id bigint NOT NULL,
    name text,
    location_id bigint,
    time_zone text,
    provisional boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    language text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    sort_name text DEFAULT '􏿿'::text NOT NULL,
    search_words tsvector DEFAULT ''::tsvector NOT NULL,
    merged_into bigint,
    merged_at timestamp with time zone,
    erased_at timestamp with time zone,
    CONSTRAINT clients_client_id_check CHECK (((client_id >= 1) AND (client_id <= '9007199254740991'::bigint)))
);

CREATE TABLE public.consents (
    business_id bigint NOT NULL,
    consent_id uuid NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    category text NOT NULL,
    state text NOT NULL,
    source text NOT NULL,
    evidence jsonb NOT NULL,
    client_id bigint,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT consents_category_check CHECK ((category = ANY (ARRAY['transactional'::text, 'marketing'::text, 'all'::text]))),
    CONSTRAINT consents_state_check CHECK ((state = ANY (ARRAY['granted'::text, 'revoked'::text])))
);

CREATE TABLE public.conversation_redirects (
    business_id bigint NOT NULL,
    conversation_id uuid NOT NULL,
    merged_into uuid NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.conversations (
    business_id bigint NOT NULL,
    conversation_id uuid NOT NULL,
    client_id bigint NOT NULL,
    status text NOT NULL,
    snoozed_until timestamp with time zone,
    assignee_staff_id bigint,
    location_id bigint,
    last_message_id uuid,
    last_message_at timestamp with time zone,
    last_activity_at timestamp with time zone NOT NULL,
    unread_count integer DEFAULT 0 NOT NULL,
    waiting_since timestamp with time zone,
    channels text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    shared_kind text,
    shared_address text,
    identity_reason text,
    ambiguous_since timestamp with time zone,
    identity_confirmed_at timestamp with time zone,
    CONSTRAINT conversations_identity_reason_check CHECK ((identity_reason = ANY (ARRAY['last_messaged'::text, 'last_seen'::text]))),
    CONSTRAINT conversations_status_check CHECK ((status = ANY (ARRAY['open'::text, 'pending'::text, 'snoozed'::text, 'closed'::text]))),
    CONSTRAINT conversations_unread_count_check CHECK ((unread_count >= 0))
);

CREATE TABLE public.dead_letters (
    dead_letter_id uuid NOT NULL,
    queue text NOT NULL,
    business_id bigint,
    job jsonb NOT NULL,
    error jsonb,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.events (
    business_id bigint NOT NULL,
    sequence bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    actor jsonb NOT NULL,
    origin jsonb NOT NULL,
    changed jsonb,
    data jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.locations (
    business_id bigint NOT NULL,
    location_id bigint NOT NULL,
    name text NOT NULL,
    time_zone text,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL
);

CREATE TABLE public.message_timeline (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone NOT NULL,
    data jsonb NOT NULL
);

CREATE TABLE public.message_words (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    channel text NOT NULL,
    direction text NOT NULL,
    words tsvector NOT NULL
);

CREATE TABLE public.messages (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    client_id bigint NOT NULL,
    channel text NOT NULL,
    direction text NOT NULL,
    status text NOT NULL,
    content text NOT NULL,
    subject text,
    media_urls jsonb DEFAULT '[]'::jsonb NOT NULL,
    from_address text,
    to_address text,
    sent_by bigint,
    sender_type text NOT NULL,
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
    attempts integer DEFAULT 0 NOT NULL,
    unread boolean DEFAULT false NOT NULL,
    external_ref jsonb,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id text,
    send_at timestamp with time zone,
    occurred_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    failed_at timestamp with time zone,
    html text,
    display_html text,
    display_version integer,
    cc jsonb DEFAULT '[]'::jsonb NOT NULL,
    bcc jsonb DEFAULT '[]'::jsonb NOT NULL,
    reply_to text,
    attachments jsonb DEFAULT '[]'::jsonb NOT NULL,
    auto_reply boolean DEFAULT false NOT NULL,
    opened_at timestamp with time zone,
    clicked_at timestamp with time zone,
    complained_at timestamp with time zone,
    unsubscribed_at timestamp with time zone,
    ambiguous boolean DEFAULT false NOT NULL,
    superseded_attempts integer DEFAULT 0 NOT NULL,
    answers_since timestamp with time zone,
    call jsonb,
    mail_id text,
    reply_text text,
    sender_authentication jsonb,
    threading_reason text,
    cancel_on_reply boolean DEFAULT false NOT NULL,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text, 'internal'::text]))),
    CONSTRAINT messages_threading_reason_check CHECK ((threading_reason = ANY (ARRAY['reply_address'::text, 'references'::text, 'sender_address'::text, 'moved'::text])))
);

CREATE TABLE public.onboarding_steps (
    business_id bigint NOT NULL,
    name text NOT NULL,
    "position" integer NOT NULL,
    status text NOT NULL,
    error text,
    remedy text,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT onboarding_steps_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'running'::text, 'done'::text, 'failed'::text, 'skipped'::text])))
);

CREATE TABLE public.provider_account_names (
    business_id bigint NOT NULL,
    provider text NOT NULL,
    name_key text NOT NULL
);

CREATE TABLE public.provider_accounts (
    business_id bigint NOT NULL,
    provider text NOT NULL,
    sealed_credentials text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    paused_at timestamp with time zone,
    paused_reason text
);

CREATE TABLE public.requests (
    business_id bigint NOT NULL,
    request_id text NOT NULL,
    operation text NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    answer jsonb,
    sealed_answer text,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.retention (
    business_id bigint NOT NULL,
    message_days integer,
    due_at timestamp with time zone,
    run_started_at timestamp with time zone,
    run_purged integer DEFAULT 0 NOT NULL,
    run_at timestamp with time zone,
    run_message_id uuid,
    last_run_at timestamp with time zone,
    last_run_purged integer,
    messages_purged bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT retention_message_days_check CHECK (((message_days >= 1) AND (message_days <= 3650)))
);

CREATE TABLE public.senders (
    business_id bigint NOT NULL,
    sender_id uuid NOT NULL,
    channel text NOT NULL,
    address text NOT NULL,
    name text,
    provider text NOT NULL,
    location_id bigint,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    reply_domain text
);

CREATE TABLE public.sessions (
    business_id bigint NOT NULL,
    session_id uuid NOT NULL,
    staff_id bigint NOT NULL,
    hash text NOT NULL,
    key_id uuid,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    expired_at timestamp with time zone
);

CREATE TABLE public.simulator_messages (
    provider_message_id text NOT NULL,
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    channel text NOT NULL,
    from_address text NOT NULL,
    to_address text NOT NULL,
    content text NOT NULL,
    accepted_at timestamp with time zone NOT NULL,
    mail jsonb
);

CREATE TABLE public.simulator_tries (
    business_id bigint NOT NULL,
    message_id uuid NOT NULL,
    tries integer NOT NULL
);

CREATE TABLE public.staff_locations (
    business_id bigint NOT NULL,
    staff_id bigint NOT NULL,
    location_id bigint NOT NULL
);

CREATE TABLE public.staffs (
    business_id bigint NOT NULL,
    staff_id bigint NOT NULL,
    name text NOT NULL,
    email text,
    phone text,
    role text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    CONSTRAINT staffs_role_check CHECK ((role = ANY (ARRAY['manager'::text, 'staff'::text])))
);

CREATE TABLE public.voice_presences (
    business_id bigint NOT NULL,
    staff_id bigint NOT NULL,
    holder_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.voice_settings (
    business_id bigint NOT NULL,
    location_id bigint NOT NULL,
    hours jsonb,
    closed_on jsonb NOT NULL,
    ring text NOT NULL,
    ring_seconds integer NOT NULL,
    greeting text,
    closed_greeting text,
    voicemail boolean NOT NULL,
    voicemail_greeting text NOT NULL,
    record boolean NOT NULL,
    recording_notice text NOT NULL,
    missed_call_text text,
    language text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT voice_settings_ring_check CHECK ((ring = ANY (ARRAY['staff_on'::text, 'all_staff'::text])))
);

CREATE TABLE public.webhook_attempts (
    business_id bigint NOT NULL,
    webhook_id uuid NOT NULL,
    sequence bigint NOT NULL,
    attempt_no integer NOT NULL,
    status_code integer,
    error text,
    duration_ms integer NOT NULL,
    attempted_at timestamp with time zone NOT NULL
);

CREATE TABLE public.webhook_deliveries (
    business_id bigint NOT NULL,
    webhook_id uuid NOT NULL,
    sequence bigint NOT NULL,
    delivery_id uuid NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    state text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone,
    status_code integer,
    error text,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text])))
);

CREATE TABLE public.webhook_receipts (
    receipt_id uuid NOT NULL,
    source text NOT NULL,
    provider text NOT NULL,
    business_id bigint,
    method text NOT NULL,
    url text NOT NULL,
    sealed_headers text NOT NULL,
    body bytea NOT NULL,
    digest text NOT NULL,
    state text NOT NULL,
    note text,
    tries integer DEFAULT 0 NOT NULL,
    times integer DEFAULT 1 NOT NULL,
    received_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    CONSTRAINT webhook_receipts_state_check CHECK ((state = ANY (ARRAY['kept'::text, 'applied'::text, 'ignored'::text, 'unreadable'::text, 'quarantined'::text, 'failed'::text])))
);

CREATE TABLE public.webhook_tokens (
    provider text NOT NULL,
    token_hash text NOT NULL,
    digest text NOT NULL,
    received_at timestamp with time zone NOT NULL
);

CREATE TABLE public.webhooks (
    business_id bigint NOT NULL,
    webhook_id uuid NOT NULL,
    url text NOT NULL,
    description text,
    types text[],
    exclude_own boolean NOT NULL,
    key_id uuid,
    state text NOT NULL,
    disabled_reason text,
    disabled_at timestamp with time zone,
    sealed_secret text NOT NULL,
    sealed_old_secret text,
    old_secret_until timestamp with time zone,
    sequence bigint NOT NULL,
    failing_since timestamp with time zone,
    failed_at timestamp with time zone,
    slow boolean DEFAULT false NOT NULL,
    queued_at timestamp with time zone,
    later_at timestamp with time zone,
    busy_with uuid,
    busy_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    CONSTRAINT webhooks_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['by_request'::text, 'gone'::text, 'failing'::text]))),
    CONSTRAINT webhooks_state_check CHECK ((state = ANY (ARRAY['enabled'::text, 'disabled'::text, 'deleted'::text])))
);

CREATE TABLE public.worker_heartbeats (
    process_id uuid NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    metrics jsonb
);

ALTER TABLE ONLY public.addresses
    ADD CONSTRAINT addresses_pkey PRIMARY KEY (business_id, kind, address);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_pkey PRIMARY KEY (business_id, message_id, attachment_id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (business_id, message_id, attempt_no);

ALTER TABLE ONLY public.businesses
    ADD CONSTRAINT businesses_pkey PRIMARY KEY (business_id);

ALTER TABLE ONLY public.carrier_events
    ADD CONSTRAINT carrier_events_pkey PRIMARY KEY (carrier_event_id);

ALTER TABLE ONLY public.client_addresses
    ADD CONSTRAINT client_addresses_pkey PRIMARY KEY (business_id, kind, address, client_id);

ALTER TABLE ONLY public.client_import_errors
    ADD CONSTRAINT client_import_errors_pkey PRIMARY KEY (business_id, import_id, row_number, "position");

ALTER TABLE ONLY public.client_imports
    ADD CONSTRAINT client_imports_business_id_request_id_key UNIQUE (business_id, request_id);

ALTER TABLE ONLY public.client_imports
    ADD CONSTRAINT client_imports_pkey PRIMARY KEY (business_id, import_id);

ALTER TABLE ONLY public.client_merge_messages
    ADD CONSTRAINT client_merge_messages_pkey PRIMARY KEY (business_id, message_id, merge_id);

ALTER TABLE ONLY public.client_merges
    ADD CONSTRAINT client_merges_pkey PRIMARY KEY (business_id, merge_id);

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (business_id, client_id);

ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (business_id, consent_id);

ALTER TABLE ONLY public.conversation_redirects
    ADD CONSTRAINT conversation_redirects_pkey PRIMARY KEY (business_id, conversation_id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (business_id, conversation_id);

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (dead_letter_id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (business_id, sequence);

ALTER TABLE ONLY public.locations
    ADD CONSTRAINT locations_pkey PRIMARY KEY (business_id, location_id);

ALTER TABLE ONLY public.message_timeline
    ADD CONSTRAINT message_timeline_pkey PRIMARY KEY (business_id, message_id, entry_id);

ALTER TABLE ONLY public.message_words
    ADD CONSTRAINT message_words_pkey PRIMARY KEY (business_id, message_id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (business_id, message_id);

ALTER TABLE ONLY public.onboarding_steps
    ADD CONSTRAINT onboarding_steps_pkey PRIMARY KEY (business_id, name);

ALTER TABLE ONLY public.provider_account_names
    ADD CONSTRAINT provider_account_names_pkey PRIMARY KEY (business_id, provider, name_key);

ALTER TABLE ONLY public.provider_accounts
    ADD CONSTRAINT provider_accounts_pkey PRIMARY KEY (business_id, provider);

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (business_id, request_id);

ALTER TABLE ONLY public.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (business_id);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT senders_business_id_channel_address_key UNIQUE (business_id, channel, address);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT senders_pkey PRIMARY KEY (business_id, sender_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (business_id, session_id);

ALTER TABLE ONLY public.simulator_messages
    ADD CONSTRAINT simulator_messages_pkey PRIMARY KEY (provider_message_id);

ALTER TABLE ONLY public.simulator_tries
    ADD CONSTRAINT simulator_tries_pkey PRIMARY KEY (business_id, message_id);

ALTER TABLE ONLY public.staff_locations
    ADD CONSTRAINT staff_locations_pkey PRIMARY KEY (business_id, staff_id, location_id);

ALTER TABLE ONLY public.staffs
    ADD CONSTRAINT staffs_pkey PRIMARY KEY (business_id, staff_id);

ALTER TABLE ONLY public.voice_presences
    ADD CONSTRAINT voice_presences_pkey PRIMARY KEY (business_id, staff_id, holder_id);

ALTER TABLE ONLY public.voice_settings
    ADD CONSTRAINT voice_settings_pkey PRIMARY KEY (business_id, location_id);

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_pkey PRIMARY KEY (business_id, webhook_id, sequence, attempt_no);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_business_id_delivery_id_key UNIQUE (business_id, delivery_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (business_id, webhook_id, sequence);

ALTER TABLE ONLY public.webhook_receipts
    ADD CONSTRAINT webhook_receipts_pkey PRIMARY KEY (receipt_id);

ALTER TABLE ONLY public.webhook_tokens
    ADD CONSTRAINT webhook_tokens_pkey PRIMARY KEY (provider, token_hash);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (business_id, webhook_id);

ALTER TABLE ONLY public.worker_heartbeats
    ADD CONSTRAINT worker_heartbeats_pkey PRIMARY KEY (process_id);

CREATE INDEX api_keys_of_business ON public.api_keys USING btree (business_id);

CREATE INDEX attempts_by_provider_id ON public.attempts USING btree (provider, provider_message_id) WHERE (provider_message_id IS NOT NULL);

CREATE INDEX carrier_events_naming ON public.carrier_events USING btree (business_id, message_id) WHERE (message_id IS NOT NULL);

CREATE INDEX carrier_events_of_message ON public.carrier_events USING btree (business_id, provider_message_id);

CREATE UNIQUE INDEX carrier_events_once ON public.carrier_events USING btree (business_id, provider, event_key) WHERE (event_key IS NOT NULL);

CREATE INDEX carrier_events_open ON public.carrier_events USING btree (received_at) WHERE (state <> 'applied'::text);

CREATE INDEX carrier_events_parked ON public.carrier_events USING btree (provider, provider_message_id) WHERE (state = 'parked'::text);

CREATE INDEX carrier_events_unapplied ON public.carrier_events USING btree (business_id, received_at) WHERE ((state = ANY (ARRAY['parked'::text, 'refused'::text])) AND ((payload ->> 'erased'::text) IS NULL));

CREATE INDEX client_addresses_of_client ON public.client_addresses USING btree (business_id, client_id);

CREATE UNIQUE INDEX client_addresses_primary ON public.client_addresses USING btree (business_id, client_id, kind) WHERE is_primary;

CREATE INDEX client_imports_newest ON public.client_imports USING btree (business_id, started_at DESC, import_id DESC);

CREATE INDEX client_merge_messages_of ON public.client_merge_messages USING btree (business_id, merge_id, message_id);

CREATE INDEX client_merges_into ON public.client_merges USING btree (business_id, into_client_id);

CREATE INDEX client_merges_of ON public.client_merges USING btree (business_id, merged_client_id, merge_id DESC);

CREATE INDEX clients_by_last_seen ON public.clients USING btree (business_id, COALESCE(last_seen_at, '-infinity'::timestamp with time zone) DESC, client_id DESC) WHERE ((merged_into IS NULL) AND (erased_at IS NULL));

CREATE INDEX clients_by_name ON public.clients USING btree (business_id, sort_name COLLATE "C", client_id) WHERE ((merged_into IS NULL) AND (erased_at IS NULL));

CREATE INDEX clients_merged ON public.clients USING btree (business_id, merged_into) WHERE (merged_into IS NOT NULL);

CREATE INDEX clients_newest ON public.clients USING btree (business_id, created_at DESC, client_id DESC) WHERE ((merged_into IS NULL) AND (erased_at IS NULL));

CREATE INDEX clients_of_location ON public.clients USING btree (business_id, location_id, sort_name COLLATE "C", client_id) WHERE ((location_id IS NOT NULL) AND (merged_into IS NULL) AND (erased_at IS NULL));

CREATE INDEX clients_provisional ON public.clients USING btree (business_id, sort_name COLLATE "C", client_id) WHERE (provisional AND (merged_into IS NULL) AND (erased_at IS NULL));

CREATE INDEX clients_search ON public.clients USING gin (search_words);

CREATE INDEX consents_latest ON public.consents USING btree (business_id, channel, address, created_at DESC, consent_id DESC);

CREATE INDEX consents_newest ON public.consents USING btree (business_id, created_at DESC, consent_id DESC);

CREATE INDEX consents_of_client ON public.consents USING btree (business_id, client_id, created_at DESC, consent_id DESC) WHERE (client_id IS NOT NULL);

CREATE INDEX consents_revoked ON public.consents USING btree (business_id, channel, address) WHERE (state = 'revoked'::text);

CREATE INDEX conversation_redirects_to ON public.conversation_redirects USING btree (business_id, merged_into);

CREATE INDEX conversations_by_assignee ON public.conversations USING btree (business_id, assignee_staff_id, last_activity_at DESC, conversation_id DESC);

CREATE INDEX conversations_by_client ON public.conversations USING btree (business_id, client_id, created_at DESC);

CREATE INDEX conversations_by_location ON public.conversations USING btree (business_id, location_id, last_activity_at DESC, conversation_id DESC);

CREATE INDEX conversations_by_status ON public.conversations USING btree (business_id, status, last_activity_at DESC, conversation_id DESC);

CREATE INDEX conversations_newest ON public.conversations USING btree (business_id, last_activity_at DESC, conversation_id DESC);

CREATE UNIQUE INDEX conversations_one_open ON public.conversations USING btree (business_id, client_id) WHERE (status <> 'closed'::text);

CREATE INDEX conversations_unread ON public.conversations USING btree (business_id, last_activity_at DESC, conversation_id DESC) WHERE (unread_count > 0);

CREATE INDEX conversations_waiting ON public.conversations USING btree (business_id, waiting_since, conversation_id) WHERE (waiting_since IS NOT NULL);

CREATE INDEX dead_letters_of_queue ON public.dead_letters USING btree (queue, dead_letter_id);

CREATE INDEX events_about_client ON public.events USING btree (business_id, ((data ->> 'client_id'::text))) WHERE (type = ANY (ARRAY['client.created'::text, 'client.updated'::text, 'client.merged'::text, 'client.unmerged'::text, 'consent.granted'::text, 'consent.revoked'::text, 'message.failed'::text, 'message.undelivered'::text, 'appointment.possible_cancellation'::text]));

CREATE INDEX events_by_age ON public.events USING btree (created_at);

CREATE INDEX message_words_found ON public.message_words USING gin (words);

CREATE INDEX message_words_newest ON public.message_words USING btree (business_id, occurred_at DESC, message_id DESC);

CREATE INDEX messages_about ON public.messages USING btree (business_id, conversation_id, occurred_at DESC) WHERE ((external_ref IS NOT NULL) AND (direction = 'outbound'::text));

CREATE INDEX messages_ambiguous ON public.messages USING btree (business_id, conversation_id) WHERE ambiguous;

CREATE INDEX messages_by_external_ref ON public.messages USING btree (business_id, ((external_ref ->> 'type'::text)), ((external_ref ->> 'id'::text))) WHERE (external_ref IS NOT NULL);

CREATE INDEX messages_by_mail_id ON public.messages USING btree (business_id, mail_id) WHERE (mail_id IS NOT NULL);

CREATE UNIQUE INDEX messages_by_provider_id ON public.messages USING btree (business_id, provider, provider_message_id) WHERE (provider_message_id IS NOT NULL);

CREATE INDEX messages_cancel_on_reply ON public.messages USING btree (business_id, conversation_id) WHERE cancel_on_reply;

CREATE INDEX messages_due ON public.messages USING btree (business_id, send_at, message_id) WHERE (send_at IS NOT NULL);

CREATE INDEX messages_failed ON public.messages USING btree (business_id, failed_at, message_id) WHERE (failed_at IS NOT NULL);

CREATE INDEX messages_of_conversation ON public.messages USING btree (business_id, conversation_id, occurred_at, message_id);

CREATE INDEX messages_of_request ON public.messages USING btree (business_id, request_id, message_id);

CREATE INDEX messages_recent ON public.messages USING btree (business_id, occurred_at, message_id);

CREATE INDEX messages_scheduled_from ON public.messages USING btree (business_id, from_address, send_at) WHERE ((direction = 'outbound'::text) AND (send_at IS NOT NULL));

CREATE INDEX messages_unread ON public.messages USING btree (business_id, conversation_id) WHERE unread;

CREATE INDEX provider_account_names_by_name ON public.provider_account_names USING btree (provider, name_key);

CREATE INDEX requests_by_age ON public.requests USING btree (created_at);

CREATE INDEX requests_that_show ON public.requests USING btree (business_id) WHERE (operation <> ALL (ARRAY['queueSms'::text, 'recordSms'::text, 'updateSmsStatus'::text, 'queueEmail'::text, 'recordEmail'::text, 'updateEmailStatus'::text, 'recordMessages'::text, 'addNote'::text, 'markMessagesRead'::text, 'simulateInbound'::text]));

CREATE INDEX retention_due ON public.retention USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX senders_by_address ON public.senders USING btree (address, channel);

CREATE INDEX senders_default ON public.senders USING btree (business_id, channel, ((location_id IS NOT NULL)), created_at, sender_id) WHERE active;

CREATE INDEX simulator_messages_listing ON public.simulator_messages USING btree (business_id, to_address, accepted_at);

CREATE INDEX simulator_messages_of ON public.simulator_messages USING btree (business_id, message_id);

CREATE INDEX staff_locations_by_location ON public.staff_locations USING btree (business_id, location_id, staff_id);

CREATE INDEX staffs_by_name ON public.staffs USING btree (business_id, lower(name), staff_id);

CREATE INDEX webhook_deliveries_by_age ON public.webhook_deliveries USING btree (created_at);

CREATE INDEX webhook_deliveries_by_state ON public.webhook_deliveries USING btree (business_id, webhook_id, state, sequence);

CREATE INDEX webhook_deliveries_by_type ON public.webhook_deliveries USING btree (business_id, webhook_id, type, sequence);

CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (business_id, webhook_id, next_attempt_at) WHERE (state = 'pending'::text);

CREATE INDEX webhook_receipts_by_state ON public.webhook_receipts USING btree (state, receipt_id DESC);

CREATE INDEX webhook_receipts_kept ON public.webhook_receipts USING btree (received_at) WHERE (state = 'kept'::text);

CREATE INDEX webhook_receipts_of_business ON public.webhook_receipts USING btree (business_id, receipt_id DESC) WHERE (business_id IS NOT NULL);

CREATE INDEX webhook_receipts_of_provider ON public.webhook_receipts USING btree (provider, receipt_id DESC);

CREATE UNIQUE INDEX webhook_receipts_quarantined ON public.webhook_receipts USING btree (source, digest) WHERE (state = 'quarantined'::text);

CREATE INDEX webhook_tokens_by_age ON public.webhook_tokens USING btree (received_at);

ALTER TABLE ONLY public.addresses
    ADD CONSTRAINT addresses_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.attachments
    ADD CONSTRAINT attachments_business_id_message_id_fkey FOREIGN KEY (business_id, message_id) REFERENCES public.messages(business_id, message_id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_business_id_message_id_fkey FOREIGN KEY (business_id, message_id) REFERENCES public.messages(business_id, message_id);

ALTER TABLE ONLY public.client_addresses
    ADD CONSTRAINT client_addresses_business_id_client_id_fkey FOREIGN KEY (business_id, client_id) REFERENCES public.clients(business_id, client_id);

ALTER TABLE ONLY public.client_addresses
    ADD CONSTRAINT client_addresses_business_id_kind_address_fkey FOREIGN KEY (business_id, kind, address) REFERENCES public.addresses(business_id, kind, address);

ALTER TABLE ONLY public.client_import_errors
    ADD CONSTRAINT client_import_errors_business_id_import_id_fkey FOREIGN KEY (business_id, import_id) REFERENCES public.client_imports(business_id, import_id);

ALTER TABLE ONLY public.client_imports
    ADD CONSTRAINT client_imports_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.client_merge_messages
    ADD CONSTRAINT client_merge_messages_business_id_merge_id_fkey FOREIGN KEY (business_id, merge_id) REFERENCES public.client_merges(business_id, merge_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.client_merge_messages
    ADD CONSTRAINT client_merge_messages_business_id_message_id_fkey FOREIGN KEY (business_id, message_id) REFERENCES public.messages(business_id, message_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.client_merges
    ADD CONSTRAINT client_merges_business_id_into_client_id_fkey FOREIGN KEY (business_id, into_client_id) REFERENCES public.clients(business_id, client_id);

ALTER TABLE ONLY public.client_merges
    ADD CONSTRAINT client_merges_business_id_merged_client_id_fkey FOREIGN KEY (business_id, merged_client_id) REFERENCES public.clients(business_id, client_id);

ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_business_id_assignee_staff_id_fkey FOREIGN KEY (business_id, assignee_staff_id) REFERENCES public.staffs(business_id, staff_id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_business_id_client_id_fkey FOREIGN KEY (business_id, client_id) REFERENCES public.clients(business_id, client_id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.locations
    ADD CONSTRAINT locations_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.message_words
    ADD CONSTRAINT message_words_business_id_message_id_fkey FOREIGN KEY (business_id, message_id) REFERENCES public.messages(business_id, message_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_business_id_conversation_id_fkey FOREIGN KEY (business_id, conversation_id) REFERENCES public.conversations(business_id, conversation_id);

ALTER TABLE ONLY public.onboarding_steps
    ADD CONSTRAINT onboarding_steps_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.provider_account_names
    ADD CONSTRAINT provider_account_names_business_id_provider_fkey FOREIGN KEY (business_id, provider) REFERENCES public.provider_accounts(business_id, provider) ON DELETE CASCADE;

ALTER TABLE ONLY public.provider_accounts
    ADD CONSTRAINT provider_accounts_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.retention
    ADD CONSTRAINT retention_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT senders_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT senders_business_id_location_id_fkey FOREIGN KEY (business_id, location_id) REFERENCES public.locations(business_id, location_id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_business_id_staff_id_fkey FOREIGN KEY (business_id, staff_id) REFERENCES public.staffs(business_id, staff_id);

ALTER TABLE ONLY public.staff_locations
    ADD CONSTRAINT staff_locations_business_id_location_id_fkey FOREIGN KEY (business_id, location_id) REFERENCES public.locations(business_id, location_id);

ALTER TABLE ONLY public.staff_locations
    ADD CONSTRAINT staff_locations_business_id_staff_id_fkey FOREIGN KEY (business_id, staff_id) REFERENCES public.staffs(business_id, staff_id);

ALTER TABLE ONLY public.staffs
    ADD CONSTRAINT staffs_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);

ALTER TABLE ONLY public.voice_presences
    ADD CONSTRAINT voice_presences_business_id_staff_id_fkey FOREIGN KEY (business_id, staff_id) REFERENCES public.staffs(business_id, staff_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.voice_settings
    ADD CONSTRAINT voice_settings_business_id_location_id_fkey FOREIGN KEY (business_id, location_id) REFERENCES public.locations(business_id, location_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_attempts
    ADD CONSTRAINT webhook_attempts_business_id_webhook_id_sequence_fkey FOREIGN KEY (business_id, webhook_id, sequence) REFERENCES public.webhook_deliveries(business_id, webhook_id, sequence) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_business_id_webhook_id_fkey FOREIGN KEY (business_id, webhook_id) REFERENCES public.webhooks(business_id, webhook_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_business_id_fkey FOREIGN KEY (business_id) REFERENCES public.businesses(business_id);
