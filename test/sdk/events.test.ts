import { connect, createServer, type Socket } from 'node:net';
import { Omega, OmegaError, type StreamedEvent, unwrap } from 'omega/sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningOmega, startOmega } from '../support/omega.ts';

let omega: RunningOmega;
let key: string;
let line: Line;

interface Line {
  url: string;
  /** Breaks every connection there is; new ones come about. @returns how many it broke */
  cut(): number;
  close(): Promise<void>;
}

/** A line to Omega that breaks. */
async function lineTo(target: string): Promise<Line> {
  const { hostname, port, pathname } = new URL(target);
  const pairs = new Set<[Socket, Socket]>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    const pair: [Socket, Socket] = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near]] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    const all = [...pairs];
    for (const [near] of all) near.resetAndDestroy();
    return all.length;
  };
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}${pathname}`,
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

beforeAll(async () => {
  omega = await startOmega({ worker: false });
  ({ key } = await omega.business({ business_id: 1001 }));
  line = await lineTo(omega.url);
});
afterAll(async () => {
  await line.close();
  await omega.close();
});

const clientAt = (baseUrl: string) => new Omega({ baseUrl, apiKey: key });
const here = { business_id: 1001, types: 'client.created' };
let lastId = 9_000;
const newClient = async () =>
  unwrap(await clientAt(omega.url).upsertClient({ business_id: 1001, client_id: ++lastId, name: 'Ana' }))
    .client_id;
const now = async () => unwrap(await clientAt(omega.url).listChanges({ ...here, from: 'now' })).next_cursor;
const idOf = (event: StreamedEvent) => event.data.object.client_id;

describe('streamEvents', () => {
  it('gives each event once and in order, however often the line breaks', async () => {
    const cursor = await now();
    const made: number[] = [];
    const seen: unknown[] = [];
    let broken = 0;
    made.push(await newClient());
    for await (const event of clientAt(line.url).streamEvents({ ...here, cursor })) {
      seen.push(idOf(event));
      if (seen.length === 6) break;
      // What happens while nobody is connected counts too.
      broken += line.cut();
      made.push(await newClient());
    }
    expect(seen).toEqual(made);
    expect(broken).toBeGreaterThanOrEqual(5);
  });

  it('goes on elsewhere after the cursor of any event', async () => {
    const cursor = await now();
    const made = [await newClient(), await newClient(), await newClient()];
    let after: string | undefined;
    for await (const event of clientAt(line.url).streamEvents({ ...here, cursor })) {
      after = event.cursor;
      break;
    }
    const rest: unknown[] = [];
    for await (const event of clientAt(line.url).streamEvents({ ...here, cursor: after })) {
      rest.push(idOf(event));
      if (rest.length === 2) break;
    }
    expect(rest).toEqual(made.slice(1));
  });

  it('ends by its signal, and throws what connecting again cannot mend', async () => {
    const stop = new AbortController();
    const cursor = await now();
    const listening = (async () => {
      const stream = clientAt(line.url).streamEvents({ ...here, cursor }, { signal: stop.signal });
      for await (const _ of stream) stop.abort();
    })();
    await newClient();
    await expect(listening).rejects.toThrow();
    const stranger = new Omega({ baseUrl: line.url, apiKey: 'omk_nobody' });
    const refused = stranger.streamEvents(here).next();
    await expect(refused).rejects.toMatchObject({ status: 401 });
    await expect(refused).rejects.toBeInstanceOf(OmegaError);
  });
});

describe('changes', () => {
  it('gives page after page since the cursor, up to now', async () => {
    const cursor = await now();
    const made = [
      await newClient(),
      await newClient(),
      await newClient(),
      await newClient(),
      await newClient(),
    ];
    const pages: unknown[][] = [];
    let next = cursor;
    for await (const page of clientAt(omega.url).changes({ ...here, cursor, limit: 2 })) {
      pages.push(page.data.map((event) => event.data.object.client_id));
      next = page.next_cursor;
    }
    expect(pages.flat()).toEqual(made);
    expect(pages.length).toBeGreaterThanOrEqual(3);
    for await (const page of clientAt(omega.url).changes({ ...here, cursor: next }))
      expect(page.data).toEqual([]);
  });
});
