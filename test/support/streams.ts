import { get, type IncomingMessage } from 'node:http';
import type { Event } from '../../contract/index.ts';

/** A stream of events as it came over the wire. */
export interface OpenStream {
  status: number;
  headers: IncomingMessage['headers'];
  /** Each event that came, with the `id` beside it. */
  events: { id: string; event: string; data: Event }[];
  /** The last `id` that came, with an event or without. */
  lastId: string | null;
  /** All that came, as text. */
  text: string;
  /** Whether the server ended it, or it broke. */
  ended: boolean;
  /** Whether it broke, in the middle of the answer. */
  broken: boolean;
  /** Reads no more of it from now on, and leaves it open. */
  stopReading(): void;
  goOn(): void;
  /** Leaves, as a browser that goes away does. */
  close(): void;
}

/** Opens a stream of events and reads it from then on. Resolves when the answer's head is there. */
export function openStream(url: string, headers: Record<string, string>): Promise<OpenStream> {
  return new Promise((resolve, reject) => {
    // A connection of its own: none is shared with what another test left behind.
    const request = get(url, { headers, agent: false }, (response) => {
      const stream: OpenStream = {
        status: response.statusCode!,
        headers: response.headers,
        events: [],
        lastId: null,
        text: '',
        ended: false,
        broken: false,
        stopReading: () => void response.pause(),
        goOn: () => void response.resume(),
        close: () => void request.destroy(),
      };
      let rest = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        stream.text += text;
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop()!;
        for (const block of blocks) take(stream, block);
      });
      response
        .on('error', () => {
          stream.broken = true;
        })
        .on('close', () => {
          stream.ended = true;
        });
      request.on('error', () => undefined);
      resolve(stream);
    });
    request.once('error', reject);
  });
}

function take(stream: OpenStream, block: string): void {
  const fields = Object.fromEntries(
    block.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    }),
  );
  if (fields.id !== undefined) stream.lastId = fields.id;
  if (fields.data !== undefined)
    stream.events.push({ id: fields.id!, event: fields.event!, data: JSON.parse(fields.data) });
}
