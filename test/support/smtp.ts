import { type AddressInfo, createServer, type Socket } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A mail that the server took: its envelope, its bytes, and what a parser that is not ours makes of them. */
export interface TakenMail {
  from: string;
  to: string[];
  raw: string;
  parsed: Email;
  /** Which connection it came over. */
  connection: string;
}

/** What the server says in place of "yes", and where. */
export interface Refusal {
  at: 'mail' | 'rcpt' | 'data';
  /** Of a recipient alone; of all when left out. */
  to?: string;
  code: number;
  text: string;
}

export interface SmtpPeer {
  url: string;
  mails: TakenMail[];
  /** Connections that were made. */
  connections: Set<string>;
  refusals: Refusal[];
  /** What it says to a mail that it takes, behind 250. */
  answer: string;
  close(): Promise<void>;
}

export const smtpUser = 'lotus';
/** With every sign that a URL has a meaning for. */
export const smtpPassword = 'p@ss:w/rd?#%20 &ü';

/** A real SMTP server on loopback, which keeps what it gets. */
export async function startSmtp(options: SMTPServerOptions = {}): Promise<SmtpPeer> {
  const mails: TakenMail[] = [];
  const connections = new Set<string>();
  const refusals: Refusal[] = [];
  const answer = { text: '2.0.0 Ok: queued as 4BXyz' };
  const refusalOf = (at: Refusal['at'], to?: string): Error | null => {
    const found = refusals.find((one) => one.at === at && (one.to === undefined || one.to === to));
    return found ? Object.assign(new Error(found.text), { responseCode: found.code }) : null;
  };
  const server = new SMTPServer({
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    closeTimeout: 500,
    onAuth({ username, password }, _session, done) {
      if (username === smtpUser && password === smtpPassword) done(null, { user: username });
      else done(Object.assign(new Error('5.7.8 Authentication credentials invalid'), { responseCode: 535 }));
    },
    onConnect(session, done) {
      connections.add(session.id);
      done();
    },
    onMailFrom: (_address, _session, done) => done(refusalOf('mail')),
    onRcptTo: ({ address }, _session, done) => done(refusalOf('rcpt', address)),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', async () => {
        const refused = refusalOf('data');
        if (refused) return done(refused);
        const bytes = Buffer.concat(chunks);
        mails.push({
          from: session.envelope.mailFrom ? session.envelope.mailFrom.address : '',
          to: session.envelope.rcptTo.map(({ address }) => address),
          raw: bytes.toString('latin1'),
          parsed: await PostalMime.parse(bytes),
          connection: session.id,
        });
        done(null, answer.text);
      });
    },
    ...options,
  });
  server.on('error', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.server.address() as AddressInfo;
  return {
    url: `smtp://${smtpUser}:${encodeURIComponent(smtpPassword)}@127.0.0.1:${port}`,
    mails,
    connections,
    refusals,
    get answer() {
      return answer.text;
    },
    set answer(text) {
      answer.text = text;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** A peer that speaks only as it is told: for what no server does that is well. */
export async function startRawSmtp(
  talk: (socket: Socket, line: string, state: { inData: boolean }) => void,
  greet: (socket: Socket) => void = (socket) => socket.write('220 raw ESMTP\r\n'),
): Promise<{ url: string; dataSeen: () => number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  let dataSeen = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    const state = { inData: false };
    let buffer = '';
    socket.on('data', (chunk) => {
      buffer += chunk.toString('latin1');
      for (let end = buffer.indexOf('\r\n'); end >= 0; end = buffer.indexOf('\r\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 2);
        if (line === '.') dataSeen += 1;
        talk(socket, line, state);
      }
    });
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    dataSeen: () => dataSeen,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** The usual answers up to the final dot; `atDot` says what comes then. */
export const usualTalk =
  (atDot: (socket: Socket) => void) =>
  (socket: Socket, line: string, state: { inData: boolean }): void => {
    if (state.inData) {
      if (line !== '.') return;
      state.inData = false;
      atDot(socket);
      return;
    }
    if (/^DATA$/i.test(line)) {
      state.inData = true;
      socket.write('354 go on\r\n');
    } else socket.write('250 ok\r\n');
  };
