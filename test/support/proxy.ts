import { connect, createServer, type Socket } from 'node:net';

/** A wire to a database on loopback that a test can cut without either end being told. */
export interface Wire {
  /** The database's URL by way of the wire. */
  url: string;
  /** From now on bytes vanish, both ways; the connections stay open. New ones come about and are mute. */
  goDark(): void;
  /** Bytes pass again on new connections; those that went dark stay dead, as after a failover. */
  goOn(): void;
  close(): Promise<void>;
}

export async function wireTo(databaseUrl: string): Promise<Wire> {
  const { hostname, port } = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let lit = { now: true };
  const server = createServer((near) => {
    const mine = lit;
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (bytes) => {
        if (mine.now) to.write(bytes);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    goDark() {
      lit.now = false;
    },
    goOn() {
      lit = { now: true };
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
