/** Where and how to hand over mail, as `providers.smtp.url` says it. */
export interface SmtpServer {
  host: string;
  port: number;
  /** TLS from the first byte (`smtps:`), by STARTTLS that must work, or none. */
  tls: 'from_start' | 'starttls' | 'off';
  /** Whether the certificate must fit. */
  verified: boolean;
  user: string | null;
  password: string | null;
}

/**
 * Reads an account's URL: `smtps://user:password@host:465`, `smtp://user:password@host:587?tls=…`. Only `tls` is
 * read from its query (`off`, `unverified`): nodemailer's own reading would take any option from it, a log of
 * the password among them.
 *
 * `smtp:` means STARTTLS, and no mail where that fails: a password never goes over an open line. On the machine's
 * own loopback there is no line, and nothing is encrypted unless told.
 */
export function readSmtpUrl(text: string): SmtpServer | { problem: string } {
  const url = URL.parse(text);
  if (!url || !/^smtps?:$/.test(url.protocol) || url.hostname === '')
    return { problem: 'is not a URL such as smtps://user:password@mail.example.com:465.' };
  const user = decoded(url.username);
  const password = decoded(url.password);
  if (user === undefined || password === undefined)
    return { problem: 'has a % in its user or password that must be written as %25.' };
  const strange = [...url.searchParams.keys()].find((name) => name !== 'tls');
  const tls = url.searchParams.get('tls');
  if (strange !== undefined || ![null, 'off', 'unverified', 'required'].includes(tls))
    return { problem: 'takes ?tls=required, ?tls=unverified or ?tls=off, and nothing else after the ?.' };
  const secure = url.protocol === 'smtps:';
  if (secure && tls === 'off') return { problem: 'cannot be smtps: with ?tls=off. Write smtp: for no TLS.' };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const open = tls === 'off' || (tls === null && isLoopback(host));
  return {
    host,
    port: url.port === '' ? (secure ? 465 : 587) : Number(url.port),
    tls: secure ? 'from_start' : open ? 'off' : 'starttls',
    verified: tls !== 'unverified',
    user,
    password,
  };
}

function decoded(part: string): string | null | undefined {
  try {
    return part === '' ? null : decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
