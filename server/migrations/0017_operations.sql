-- Who works on the queues: a row a process, written anew every few seconds while it lives. Judged by the
-- database's clock alone, as the clocks of machines differ.
create table worker_heartbeats (
  process_id uuid primary key,
  -- The machine and the process there: `messages-2:4711`.
  name text not null,
  version text not null,
  started_at timestamptz not null,
  beat_at timestamptz not null,
  -- What a process without HTTP has counted, as prom-client's JSON; null where the process tells it itself.
  metrics jsonb
);

-- How many of a queue there are, up to a bound, without reading the others.
create index dead_letters_of_queue on dead_letters (queue, dead_letter_id);
