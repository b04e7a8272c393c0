import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A post as it came. */
export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects of an event by comparing it.
  event: any;
}

/** How a receiver answers: a status with headers, or not at all. */
export type Behaviour = { status: number; headers?: Record<string, string>; body?: string } | 'hang' | 'cut';

/** An integrator's own server, on a port of loopback. */
export interface Receiver {
  /** `http://127.0.0.1:port` */
  url: string;
  port: number;
  /** Everything that came, in its order. */
  received: Received[];
  /** Of one path. */
  at(path: string): Received[];
  /** Answers that path so from now on; 204 where nothing was told. A list is used up, but for its last. */
  answers(path: string, ...behaviours: Behaviour[]): void;
  /** Connections that were ever opened. */
  connections(): number;
  close(): Promise<void>;
}

export async function startReceiver(host = '127.0.0.1'): Promise<Receiver> {
  const received: Received[] = [];
  const behaviours = new Map<string, Behaviour[]>();
  let connections = 0;
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const path = request.url ?? '';
      received.push({ path, headers: request.headers, body, event: parsed(body) });
      const list = behaviours.get(path) ?? [];
      const behaviour = list.length > 1 ? list.shift()! : (list[0] ?? { status: 204 });
      if (behaviour === 'hang') return;
      if (behaviour === 'cut') return void request.socket.destroy();
      response.writeHead(behaviour.status, behaviour.headers).end(behaviour.body);
    });
  });
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    received,
    at: (path) => received.filter((one) => one.path === path),
    answers: (path, ...list) => void behaviours.set(path, list),
    connections: () => connections,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
