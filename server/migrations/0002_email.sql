-- Mail: its HTML, its other recipients, its files, and the facts beside its status.

alter table messages add column html text;
-- `html` made safe to show, by the rules of that version.
alter table messages add column display_html text;
alter table messages add column display_version integer;
alter table messages add column cc jsonb not null default '[]';
alter table messages add column bcc jsonb not null default '[]';
alter table messages add column reply_to text;
-- What lists show of its files; the bytes are in `attachments`.
alter table messages add column attachments jsonb not null default '[]';
-- Written by a machine (out of office): nobody waits for an answer.
alter table messages add column auto_reply boolean not null default false;
alter table messages add column opened_at timestamptz;
alter table messages add column clicked_at timestamptz;
alter table messages add column complained_at timestamptz;
alter table messages add column unsubscribed_at timestamptz;

create table attachments (
  business_id bigint not null,
  message_id uuid not null,
  attachment_id uuid not null,
  filename text not null,
  content_type text not null,
  size integer not null,
  sha256 text not null,
  content bytea not null,
  created_at timestamptz not null,
  primary key (business_id, message_id, attachment_id),
  foreign key (business_id, message_id) references messages
);

-- What the simulated carrier was handed beside the text: its witness of headers, recipients and files.
alter table simulator_messages add column mail jsonb;
