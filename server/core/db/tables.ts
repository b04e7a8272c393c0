/**
 * The database's tables as Kysely sees them. The truth is `server/migrations`; a test compares the
 * two. Columns that the database fills are {@link Generated}.
 */
import type { ColumnType, Generated } from 'kysely';
import type {
  MessageStatus,
  ReceiptState,
  ThreadingReason,
  VoiceSettings,
  WebhookDeliveryState,
  WebhookError,
} from '../../../contract/index.ts';

export type { MessageStatus, ReceiptState };

/** Written as text (JSON.stringify), read as a value: the same in `pg` and PGlite. */
type Json<T> = ColumnType<T, string, string>;
/** The database fills it where it is left out. */
type JsonOrDefault<T> = ColumnType<T, string | undefined, string>;
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>;

interface Dated {
  created_at: Date;
  updated_at: Date;
}

/** What is known of a call: `messages.call`. */
export interface CallFacts {
  answered_at: string | null;
  /** A staff member. */
  answered_by: number | null;
  ended_at: string | null;
  /** How it ended where nobody answered. */
  ending: 'busy' | 'no_answer' | 'canceled' | 'failed' | null;
  /** Seconds that they talked. */
  duration_s: number | null;
  /** `sid` and `url`: the carrier's own. */
  recording: {
    kind: 'conversation' | 'voicemail';
    sid: string;
    url: string;
    duration_s: number | null;
  } | null;
}

export interface Tables {
  businesses: Dated & {
    business_id: number;
    name: string;
    country: string;
    time_zone: string;
    event_sequence: Generated<number>;
  };
  locations: Dated & { business_id: number; location_id: number; name: string; time_zone: string | null };
  staffs: Dated & {
    business_id: number;
    staff_id: number;
    name: string;
    email: string | null;
    phone: string | null;
    role: 'manager' | 'staff';
    active: Generated<boolean>;
    last_seen_at: Date | null;
  };
  staff_locations: { business_id: number; staff_id: number; location_id: number };
  senders: Dated & {
    business_id: number;
    sender_id: string;
    channel: string;
    address: string;
    name: string | null;
    provider: string;
    location_id: number | null;
    reply_domain: string | null;
    active: Generated<boolean>;
  };
  provider_accounts: Dated & {
    business_id: number;
    provider: string;
    sealed_credentials: string;
    paused_at: ColumnType<Date | null, never, Date | null>;
    paused_reason: ColumnType<string | null, never, string | null>;
  };
  retention: Dated & {
    business_id: number;
    message_days: number | null;
    due_at: Date | null;
    run_started_at: Date | null;
    run_purged: Generated<number>;
    run_at: Date | null;
    run_message_id: string | null;
    last_run_at: Date | null;
    last_run_purged: number | null;
    messages_purged: Generated<number>;
  };
  provider_account_names: { business_id: number; provider: string; name_key: string };
  onboarding_steps: {
    business_id: number;
    name: string;
    position: number;
    status: 'pending' | 'running' | 'done' | 'failed' | 'skipped';
    error: string | null;
    remedy: string | null;
    updated_at: Date;
  };
  clients: Dated & {
    business_id: number;
    client_id: number;
    name: string | null;
    location_id: number | null;
    time_zone: string | null;
    provisional: Generated<boolean>;
    last_seen_at: Date | null;
    language: string | null;
    tags: Generated<string[]>;
    metadata: ColumnType<Record<string, unknown>, string | undefined, string>;
    sort_name: Generated<string>;
    /** A `tsvector`: written by `wordsSql` in clients/search-words.ts, never read. */
    search_words: Generated<string>;
    merged_into: number | null;
    merged_at: Date | null;
    erased_at: Date | null;
  };
  addresses: { business_id: number; kind: AddressKind; address: string; created_at: Date };
  client_addresses: {
    business_id: number;
    kind: AddressKind;
    address: string;
    client_id: number;
    is_primary: boolean;
    position: Generated<number>;
    created_at: Date;
  };
  client_merges: {
    business_id: number;
    merge_id: string;
    merged_client_id: number;
    into_client_id: number;
    led: Json<number[]>;
    brought: Json<Record<string, unknown>>;
    took: Json<Record<string, unknown>>;
    merged_at: Date;
    undone_at: Date | null;
  };
  client_merge_messages: {
    business_id: number;
    message_id: string;
    merge_id: string;
    conversation_id: string;
  };
  consents: {
    business_id: number;
    consent_id: string;
    channel: string;
    address: string;
    category: 'transactional' | 'marketing' | 'all';
    state: 'granted' | 'revoked';
    source: string;
    evidence: Json<Record<string, unknown>>;
    client_id: number | null;
    created_at: Date;
  };
  conversations: Dated & {
    business_id: number;
    conversation_id: string;
    client_id: number;
    status: 'open' | 'pending' | 'snoozed' | 'closed';
    snoozed_until: Date | null;
    assignee_staff_id: number | null;
    location_id: number | null;
    last_message_id: string | null;
    last_message_at: Date | null;
    last_activity_at: Date;
    unread_count: Generated<number>;
    waiting_since: Date | null;
    channels: Generated<string[]>;
    shared_kind: AddressKind | null;
    shared_address: string | null;
    identity_reason: 'last_messaged' | 'last_seen' | null;
    ambiguous_since: Date | null;
    identity_confirmed_at: Date | null;
  };
  conversation_redirects: {
    business_id: number;
    conversation_id: string;
    merged_into: string;
    created_at: Date;
  };
  messages: {
    business_id: number;
    message_id: string;
    conversation_id: string;
    client_id: number;
    channel: string;
    direction: 'inbound' | 'outbound' | 'internal';
    status: MessageStatus;
    content: string;
    subject: string | null;
    media_urls: Json<string[]>;
    from_address: string | null;
    to_address: string | null;
    sent_by: number | null;
    sender_type: 'staff' | 'client' | 'system' | 'automation';
    category: 'transactional' | 'marketing' | null;
    location_id: number | null;
    segments: number | null;
    encoding: string | null;
    provider: string | null;
    provider_message_id: string | null;
    provider_status: string | null;
    error_code: string | null;
    error_message: string | null;
    reason: string | null;
    attempts: Generated<number>;
    unread: Generated<boolean>;
    ambiguous: Generated<boolean>;
    external_ref: JsonOrNull<{ type: string; id: string; starts_at?: string }>;
    metadata: Json<Record<string, unknown>>;
    request_id: string | null;
    send_at: Date | null;
    cancel_on_reply: Generated<boolean>;
    occurred_at: Date;
    created_at: Date;
    sent_at: Date | null;
    delivered_at: Date | null;
    read_at: Date | null;
    failed_at: Date | null;
    html: string | null;
    display_html: string | null;
    display_version: number | null;
    cc: JsonOrDefault<string[]>;
    bcc: JsonOrDefault<string[]>;
    reply_to: string | null;
    attachments: JsonOrDefault<
      {
        attachment_id: string;
        filename: string;
        content_type: string;
        size: number;
        content_id?: string;
      }[]
    >;
    reply_text: string | null;
    sender_authentication: JsonOrNull<{
      spf: string | null;
      dkim: string | null;
      dmarc: string | null;
      by: string | null;
    }>;
    auto_reply: Generated<boolean>;
    call: JsonOrNull<CallFacts>;
    opened_at: Date | null;
    clicked_at: Date | null;
    complained_at: Date | null;
    unsubscribed_at: Date | null;
    superseded_attempts: Generated<number>;
    answers_since: Date | null;
    mail_id: string | null;
    threading_reason: ThreadingReason | null;
  };
  attachments: {
    business_id: number;
    message_id: string;
    attachment_id: string;
    filename: string;
    content_type: string;
    size: number;
    sha256: string;
    content: Uint8Array;
    source_url: string | null;
    created_at: Date;
  };
  message_words: {
    business_id: number;
    message_id: string;
    occurred_at: Date;
    channel: string;
    direction: 'inbound' | 'outbound' | 'internal';
    words: string;
  };
  attempts: {
    business_id: number;
    message_id: string;
    attempt_no: number;
    state: 'claimed' | 'accepted' | 'refused' | 'unknown' | 'absent';
    provider: string;
    provider_message_id: string | null;
    error_code: string | null;
    error_message: string | null;
    claimed_at: Date;
    settled_at: Date | null;
  };
  message_timeline: {
    business_id: number;
    message_id: string;
    entry_id: string;
    kind: string;
    at: Date;
    data: Json<Record<string, unknown>>;
  };
  requests: {
    business_id: number;
    request_id: string;
    operation: string;
    fingerprint: string;
    status: number | null;
    answer: JsonOrNull<unknown>;
    sealed_answer: string | null;
    created_at: Date;
  };
  events: {
    business_id: number;
    sequence: number;
    event_id: string;
    type: string;
    actor: Json<Record<string, unknown>>;
    origin: Json<Record<string, unknown>>;
    changed: JsonOrNull<Record<string, { from: unknown; to: unknown }>>;
    data: Json<Record<string, unknown>>;
    created_at: Date;
  };
  webhooks: Dated & {
    business_id: number;
    webhook_id: string;
    url: string;
    description: string | null;
    types: string[] | null;
    exclude_own: boolean;
    key_id: string | null;
    state: 'enabled' | 'disabled' | 'deleted';
    disabled_reason: 'by_request' | 'gone' | 'failing' | null;
    disabled_at: Date | null;
    sealed_secret: string;
    sealed_old_secret: string | null;
    old_secret_until: Date | null;
    sequence: number;
    failing_since: Date | null;
    failed_at: Date | null;
    slow: Generated<boolean>;
    queued_at: Date | null;
    later_at: Date | null;
    busy_with: string | null;
    busy_until: Date | null;
  };
  webhook_deliveries: {
    business_id: number;
    webhook_id: string;
    sequence: number;
    delivery_id: string;
    event_id: string;
    type: string;
    state: WebhookDeliveryState;
    attempts: Generated<number>;
    tries: Generated<number>;
    next_attempt_at: Date | null;
    status_code: number | null;
    error: WebhookError | null;
    created_at: Date;
    settled_at: Date | null;
  };
  webhook_attempts: {
    business_id: number;
    webhook_id: string;
    sequence: number;
    attempt_no: number;
    status_code: number | null;
    error: WebhookError | null;
    duration_ms: number;
    attempted_at: Date;
  };
  carrier_events: {
    carrier_event_id: string;
    provider: string;
    kind: string;
    business_id: number | null;
    provider_message_id: string | null;
    event_key: string | null;
    message_id: string | null;
    payload: Json<Record<string, unknown>>;
    state: 'kept' | 'applied' | 'parked' | 'refused';
    tries: Generated<number>;
    note: string | null;
    receipt_id: string | null;
    received_at: Date;
    settled_at: Date | null;
  };
  voice_settings: Dated & {
    business_id: number;
    location_id: number;
    hours: JsonOrNull<VoiceSettings['hours']>;
    closed_on: Json<string[]>;
    ring: VoiceSettings['ring'];
    ring_seconds: number;
    greeting: string | null;
    closed_greeting: string | null;
    voicemail: boolean;
    voicemail_greeting: string;
    record: boolean;
    recording_notice: string;
    missed_call_text: string | null;
    language: string;
  };
  voice_presences: {
    business_id: number;
    staff_id: number;
    holder_id: string;
    expires_at: Date;
  };
  webhook_tokens: {
    provider: string;
    token_hash: string;
    digest: string;
    received_at: Date;
  };
  webhook_receipts: {
    receipt_id: string;
    source: string;
    provider: string;
    business_id: number | null;
    method: string;
    url: string;
    sealed_headers: string;
    body: Uint8Array;
    digest: string;
    state: ReceiptState;
    note: string | null;
    tries: Generated<number>;
    times: Generated<number>;
    received_at: Date;
    settled_at: Date | null;
  };
  api_keys: {
    key_id: string;
    business_id: number | null;
    name: string;
    hash: string;
    hint: string;
    scopes: string[];
    created_at: Date;
    last_used_at: Date | null;
    expires_at: Date | null;
    revoked_at: Date | null;
  };
  sessions: {
    business_id: number;
    session_id: string;
    staff_id: number;
    hash: string;
    key_id: string | null;
    created_at: Date;
    expires_at: Date;
    expired_at: Date | null;
  };
  dead_letters: {
    dead_letter_id: string;
    queue: string;
    business_id: number | null;
    job: Json<Record<string, unknown>>;
    error: JsonOrNull<unknown>;
    created_at: Date;
  };
  simulator_messages: {
    provider_message_id: string;
    business_id: number;
    message_id: string;
    channel: string;
    from_address: string;
    to_address: string;
    content: string;
    accepted_at: Date;
    mail: JsonOrNull<Record<string, unknown>>;
  };
  client_imports: {
    business_id: number;
    import_id: string;
    request_id: string;
    format: 'ndjson' | 'csv';
    status: 'running' | 'complete' | 'interrupted';
    note: string | null;
    rows: Generated<number>;
    created: Generated<number>;
    updated: Generated<number>;
    unchanged: Generated<number>;
    failed: Generated<number>;
    last_row: Generated<number>;
    /** Of the whole stream, in hex, once it was read to its end. */
    body_sha256: string | null;
    started_at: Date;
    updated_at: Date;
    finished_at: Date | null;
  };
  client_import_errors: {
    business_id: number;
    import_id: string;
    row_number: number;
    position: number;
    path: string;
    message: string;
  };
  worker_heartbeats: {
    process_id: string;
    name: string;
    version: string;
    started_at: Date;
    beat_at: Date;
    metrics: JsonOrNull<unknown>;
  };
  simulator_tries: { business_id: number; message_id: string; tries: number };
}

export type AddressKind = 'phone' | 'email' | 'other';
