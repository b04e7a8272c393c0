-- What is known of a call: when it was answered and by whom, how it ended, its recording. Null for all else.
alter table messages add column call jsonb;

-- How a location takes calls; without a row, the defaults of server/calls/settings.ts.
create table voice_settings (
  business_id bigint not null,
  location_id bigint not null,
  -- null: always open
  hours jsonb,
  closed_on jsonb not null,
  ring text not null check (ring in ('staff_on', 'all_staff')),
  ring_seconds integer not null,
  greeting text,
  closed_greeting text,
  voicemail boolean not null,
  voicemail_greeting text not null,
  record boolean not null,
  recording_notice text not null,
  missed_call_text text,
  language text not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (business_id, location_id),
  foreign key (business_id, location_id) references locations on delete cascade
);

-- Who can be rung: the staff who hold a voice token, until it runs out.
create table voice_presences (
  business_id bigint not null,
  staff_id bigint not null,
  -- The session or the key that the token was given to: when that ends, so does the presence.
  holder_id uuid not null,
  expires_at timestamptz not null,
  primary key (business_id, staff_id, holder_id),
  foreign key (business_id, staff_id) references staffs on delete cascade
);
