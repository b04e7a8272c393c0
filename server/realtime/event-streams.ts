import { Readable } from 'node:stream';
import type { Credential } from '../access/index.ts';
import type { Db } from '../core/db/index.ts';
import type { EventSignal } from '../core/events/index.ts';
import { Fault } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import { watchCredentials } from './credential-watch.ts';
import { presentEvents, readSlice, type Slice } from './feed.ts';
import type { TypesFilter } from './types-filter.ts';

export interface StreamLimits {
  /** A comment so often: proxies cut after 60 s of silence. */
  heartbeatMs: number;
  /** A look whether the credentials still hold: one for all streams. */
  credentialsMs: number;
  /** A look into the table where no notice came: one may have been lost with a connection. One look a business. */
  lookMs: number;
  /** A reader that took nothing for so long is cut off. */
  stalledMs: number;
  /** Open at once by one key, or one session. */
  perCaller: number;
  perBusiness: number;
  perProcess: number;
}

export const defaultStreamLimits: StreamLimits = {
  heartbeatMs: 15_000,
  credentialsMs: 500,
  lookMs: 5_000,
  stalledMs: 45_000,
  perCaller: 100,
  perBusiness: 500,
  perProcess: 2_000,
};

/** What a reader's client waits before it connects again, as `EventSource` is told. */
const reconnectMs = 2_000;
/** When a place may be free again: of streams that nobody reads any more, the next heartbeats tell. */
const retryAfterS = 15;
/** Read at once for a reader; so many events at most wait in memory, whatever the readers do. */
const pageSize = 50;
/** Bytes that wait for a reader, beside what the socket holds, before no more is read for it. */
const highWaterMark = 64 * 1024;
/** Of a page that was read anyway it gets more than that: else large events would be read again and again. */
const mostWaiting = 256 * 1024;

export interface StreamRequest {
  businessId: number;
  /** The id of the key or session. */
  caller: string;
  filter: TypesFilter | null;
  /** The number of the event after which it begins. */
  after: number;
  /** What a client gives to go on after the event of a number. */
  idOf(sequence: number): string;
  log: Log;
}

export interface EventStreams {
  /** @throws 429, 503 with `Retry-After` where too many are open */
  mustHaveRoom(businessId: number, caller: string): void;
  /** Text of Server-Sent Events; who destroys it leaves. @throws as {@link mustHaveRoom} */
  open(request: StreamRequest): Readable;
  /** Ends every stream at once. */
  close(): void;
}

interface Reader extends StreamRequest {
  stream: Readable;
  /** Up to where it has everything that its filter wants. */
  position: number;
  /** The place that its client knows of. */
  told: number;
  /** Since when its buffer is full (`performance.now()`). */
  fullSince: number | null;
  heartbeat: NodeJS.Timeout;
}

/** The readers of one business, who share what is read. */
interface Channel {
  businessId: number;
  readers: Set<Reader>;
  /** The business's last number when it was last looked; infinite where there may be more. */
  head: number;
  reading: boolean;
  look: NodeJS.Timeout;
}

/**
 * Live streams of events. A reader has a place in the sequence and nothing else: woken by the signal (or by a look now
 * and then) all readers at one place get the same page, read once, and move on. So nothing is missed or comes twice,
 * whatever the notices do; and a reader whose socket is full just stays where it is.
 */
export function createEventStreams(options: {
  db: Db;
  events: EventSignal;
  /** @returns the ids of the keys and sessions that would let in now */
  holding(credentials: readonly Credential[]): Promise<ReadonlySet<string>>;
  log: Log;
  limits?: Partial<StreamLimits>;
}): EventStreams {
  const { db, events, holding, log } = options;
  const limits = { ...defaultStreamLimits, ...options.limits };
  const channels = new Map<number, Channel>();
  const openOf = new Map<string, number>();
  let open = 0;
  let closed = false;
  /** Nobody gets anything while nobody can say who may. */
  let doubted = false;

  const watch = watchCredentials({
    everyMs: limits.credentialsMs,
    log,
    async look() {
      const asked = allReaders();
      const of = new Map(asked.map(({ businessId, caller }) => [caller, { businessId, id: caller }]));
      const held = await holding([...of.values()]);
      for (const reader of asked) if (!held.has(reader.caller) && isOpen(reader)) end(reader);
      return open > 0;
    },
    doubt(now) {
      doubted = now;
      if (!doubted) for (const channel of channels.values()) advance(channel);
    },
  });

  let unsubscribe: (() => void) | undefined;
  const listen = () => {
    unsubscribe ??= events.subscribe((businessId) => {
      if (businessId !== null) return wake(channels.get(businessId));
      for (const channel of channels.values()) wake(channel);
    });
  };

  function wake(channel: Channel | undefined): void {
    if (!channel) return;
    channel.head = Number.POSITIVE_INFINITY;
    advance(channel);
  }

  function advance(channel: Channel): void {
    // The next notice or look tries again, from where each reader is.
    readOn(channel).catch((error) => {
      if (!closed) log.warn({ err: error }, 'events could not be read for streams; trying again');
    });
  }

  /** Until everybody who can take more is at the head; by turns, so that who catches up holds up nobody at the head. */
  async function readOn(channel: Channel): Promise<void> {
    if (channel.reading) return;
    channel.reading = true;
    const isBehind = (reader: Reader) =>
      reader.position < channel.head && reader.fullSince === null && !doubted;
    try {
      for (;;) {
        const behind = Map.groupBy([...channel.readers].filter(isBehind), ({ position }) => position);
        // The flag falls in the same step as this look: a wake-up between the two would be lost.
        if (behind.size === 0) return;
        for (const [position, readers] of behind) await turn(channel, position, readers);
      }
    } finally {
      channel.reading = false;
    }
  }

  async function turn(channel: Channel, position: number, readers: Reader[]): Promise<void> {
    const { businessId } = channel;
    // Whoever wakes it from now on means events that this page may not have.
    channel.head = 0;
    let slice: Slice;
    let shown: Map<number, string>;
    try {
      slice = await readSlice(db, businessId, position, pageSize, null);
      const wanted = slice.rows.filter(({ type }) => readers.some((one) => wants(one, type)));
      const events = await presentEvents(db, businessId, wanted);
      shown = new Map(events.map((event) => [event.sequence, JSON.stringify(event)]));
    } catch (error) {
      channel.head = Number.POSITIVE_INFINITY;
      if (!(error instanceof Fault)) throw error;
      // Their place is gone. They connect again, and are told so.
      for (const reader of readers) end(reader);
      return;
    }
    channel.head = Math.max(channel.head, slice.head);
    for (const reader of readers) {
      if (!channel.readers.has(reader) || doubted) continue;
      for (const { sequence, type } of slice.rows) {
        // Only who is full stops: every turn moves on whoever it was for, or it would be their turn again at once.
        if (reader.fullSince !== null && reader.stream.readableLength > mostWaiting) break;
        reader.position = sequence;
        if (wants(reader, type)) {
          reader.told = sequence;
          push(reader, `id: ${reader.idOf(sequence)}\nevent: ${type}\ndata: ${shown.get(sequence)}\n\n`);
        }
      }
    }
  }

  function push(reader: Reader, text: string): void {
    if (!reader.stream.push(text)) reader.fullSince ??= performance.now();
  }

  function beat(reader: Reader): void {
    const { fullSince, stream } = reader;
    if (fullSince === null) {
      const moved = reader.position !== reader.told;
      reader.told = reader.position;
      push(reader, moved ? `:\nid: ${reader.idOf(reader.position)}\n\n` : ':\n\n');
    } else if (performance.now() - fullSince > limits.stalledMs) {
      reader.log.info('a stream of events is cut off: its reader takes nothing');
      stream.destroy();
    }
  }

  const allReaders = () => [...channels.values()].flatMap(({ readers }) => [...readers]);
  const isOpen = (reader: Reader) => channels.get(reader.businessId)?.readers.has(reader) ?? false;

  function leave(reader: Reader): void {
    const channel = channels.get(reader.businessId);
    if (!channel?.readers.delete(reader)) return;
    clearInterval(reader.heartbeat);
    open--;
    const left = openOf.get(reader.caller)! - 1;
    if (left > 0) openOf.set(reader.caller, left);
    else openOf.delete(reader.caller);
    if (channel.readers.size > 0) return;
    clearInterval(channel.look);
    channels.delete(reader.businessId);
  }

  function end(reader: Reader): void {
    leave(reader);
    // Who takes nothing would not take the end either.
    if (reader.fullSince !== null) reader.stream.destroy();
    else reader.stream.push(null);
  }

  function channelOf(businessId: number): Channel {
    const known = channels.get(businessId);
    if (known) return known;
    const channel: Channel = {
      businessId,
      readers: new Set(),
      head: Number.POSITIVE_INFINITY,
      reading: false,
      look: setInterval(() => wake(channel), limits.lookMs).unref(),
    };
    channels.set(businessId, channel);
    return channel;
  }

  function mustHaveRoom(businessId: number, caller: string): void {
    if (closed)
      throw new Fault('unavailable', 'This server is stopping. Connect again in a moment.', {
        retryAfterS: 2,
      });
    const inBusiness = channels.get(businessId)?.readers.size ?? 0;
    if ((openOf.get(caller) ?? 0) >= limits.perCaller)
      throw tooMany(`These credentials have ${limits.perCaller} streams open. Close one first.`);
    if (inBusiness >= limits.perBusiness)
      throw tooMany(`This business has ${limits.perBusiness} streams open on this server. Close one first.`);
    if (open >= limits.perProcess)
      throw new Fault('unavailable', 'This server has as many streams open as it takes. Try again later.', {
        retryAfterS,
      });
  }

  return {
    mustHaveRoom,
    open(request) {
      mustHaveRoom(request.businessId, request.caller);
      listen();
      const channel = channelOf(request.businessId);
      const reader: Reader = {
        ...request,
        stream: new Readable({
          highWaterMark,
          read() {
            if (reader.fullSince === null) return;
            reader.fullSince = null;
            advance(channel);
          },
          destroy(error, done) {
            leave(reader);
            done(error);
          },
        }),
        position: request.after,
        told: request.after,
        fullSince: null,
        heartbeat: setInterval(() => beat(reader), limits.heartbeatMs).unref(),
      };
      channel.readers.add(reader);
      open++;
      openOf.set(request.caller, (openOf.get(request.caller) ?? 0) + 1);
      push(reader, `retry: ${reconnectMs}\nid: ${request.idOf(request.after)}\n\n`);
      wake(channel);
      watch.begin();
      return reader.stream;
    },
    close() {
      closed = true;
      unsubscribe?.();
      watch.close();
      for (const reader of allReaders()) end(reader);
    },
  };
}

const wants = ({ filter }: Reader, type: string) => filter?.has(type) ?? true;

function tooMany(detail: string): Fault {
  return new Fault('rate_limited', detail, { retryAfterS });
}
