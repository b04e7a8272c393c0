/**
 * Everything that Omega is told from outside. This is the only reader of the environment: the rest
 * of the server takes what it needs as arguments.
 */
import { isIP, isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import type { DatabaseTarget } from './core/db/index.ts';

/** The configuration is wrong. The message says what to do, one sentence for each fault, all at once. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(...problems: string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface Config {
  port: number;
  host: string;
  database: DatabaseTarget;
  /** What may be shown of the database: never its password. */
  databaseName: string;
  /** Absolute; null where the database is not embedded in a folder. */
  dataDir: string | null;
  /** What carriers call and sign; no slash at the end. */
  publicUrl: string;
  /** Where this machine reaches it, whatever the public URL is. */
  localUrl: string;
  basePath: string;
  /** Null where one is to be made and kept in the data folder. */
  secret: string | null;
  /** A platform key given from outside. */
  platformKey: string | null;
  simulator: boolean;
  /** Takes mail in by SMTP; null where nothing does. */
  smtp: { port: number; host: string; certFile: string | null; keyFile: string | null } | null;
  /** Whose word on the caller's address counts: so many hops, or these addresses; nobody's when left out. */
  trustProxy: number | string[] | undefined;
  /** What webhooks may reach beside public addresses: hosts, `host:port`, networks. */
  webhookHosts: string[];
  logLevel: LogLevel;
  /** Log lines for a person's eyes; else JSON. */
  prettyLog: boolean;
  /** How a person starts the command line here: `omega`, or the npm script that does. */
  program: string;
  /** Not wrong, but hardly meant. */
  warnings: string[];
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
type LogLevel = (typeof logLevels)[number];

/** Every name of ours: another that starts with `OMEGA_` is a misspelling. */
const ownNames = [
  'OMEGA_BASE_PATH',
  'OMEGA_DATA_DIR',
  'OMEGA_PLATFORM_KEY',
  'OMEGA_PUBLIC_URL',
  'OMEGA_SEARCH_CONNECTIONS',
  'OMEGA_SEARCH_TIMEOUT_MS',
  'OMEGA_SECRET',
  'OMEGA_SIMULATOR',
  'OMEGA_SMTP_CERT',
  'OMEGA_SMTP_HOST',
  'OMEGA_SMTP_KEY',
  'OMEGA_SMTP_PORT',
  'OMEGA_TRUST_PROXY',
  'OMEGA_WEBHOOK_HOSTS',
];

export const shortestSecret = 32;
const shortestKey = 24;
/** Longer credentials are refused unread (server/access). */
const longestKey = 256;
const ports: [number, number] = [1, 65_535];
/** Connections of one process to Postgres, beside the queue's own and those for searches. */
const poolSize = 10;

/** An environment as `process.env` is one. A variable that is set to nothing counts as not set. */
export type Environment = Record<string, string | undefined>;

/**
 * Reads the environment.
 *
 * @throws ConfigError naming every variable that is wrong or missing, never showing a secret
 */
export function readConfig(env: Environment = process.env, isTerminal = process.stdout.isTTY): Config {
  const problems: string[] = [];
  const text = (name: string) => env[name]?.trim() || undefined;

  const port = readWhole('PORT', text('PORT'), ports, 8080, problems);
  const host = text('HOST') ?? '127.0.0.1';
  if (/[\s/]/.test(host)) problems.push('HOST must be an address or a name of this machine, like 127.0.0.1.');
  const localUrl = `http://${inUrl(host)}:${port}`;
  const database = readDatabase(
    text('DATABASE_URL'),
    text('OMEGA_DATA_DIR'),
    {
      searchPoolSize: readWhole(
        'OMEGA_SEARCH_CONNECTIONS',
        text('OMEGA_SEARCH_CONNECTIONS'),
        [1, 50],
        3,
        problems,
      ),
      searchTimeoutMs: readWhole(
        'OMEGA_SEARCH_TIMEOUT_MS',
        text('OMEGA_SEARCH_TIMEOUT_MS'),
        [100, 10_000],
        3_000,
        problems,
      ),
    },
    problems,
  );
  const prettyLog = isTerminal === true && env.NODE_ENV !== 'production';
  const config: Config = {
    port,
    host,
    ...database,
    publicUrl: readPublicUrl(text('OMEGA_PUBLIC_URL'), problems) ?? localUrl,
    localUrl,
    basePath: readBasePath(text('OMEGA_BASE_PATH') ?? '/omega', problems),
    secret: readSecret(env.OMEGA_SECRET, database.database.kind, problems),
    platformKey: readPlatformKey(env.OMEGA_PLATFORM_KEY, problems),
    simulator: readChoice('OMEGA_SIMULATOR', text('OMEGA_SIMULATOR'), ['on', 'off'], 'on', problems) === 'on',
    smtp: readSmtp(text, problems),
    trustProxy: readTrustProxy(text('OMEGA_TRUST_PROXY'), problems),
    webhookHosts: readWebhookHosts(text('OMEGA_WEBHOOK_HOSTS'), problems),
    logLevel: readChoice('LOG_LEVEL', text('LOG_LEVEL'), logLevels, 'info', problems),
    prettyLog,
    program: env.npm_lifecycle_event ? 'npm run omega --' : 'omega',
    warnings: misspellings(env),
  };
  if (problems.length > 0) throw new ConfigError(...problems);
  return config;
}

function readSmtp(text: (name: string) => string | undefined, problems: string[]): Config['smtp'] {
  const [port, host, cert, key] = ['PORT', 'HOST', 'CERT', 'KEY'].map((name) => text(`OMEGA_SMTP_${name}`));
  if (port === undefined) {
    if (host ?? cert ?? key)
      problems.push('OMEGA_SMTP_PORT is missing: without it no mail is taken in by SMTP.');
    return null;
  }
  if ((cert === undefined) !== (key === undefined))
    problems.push('OMEGA_SMTP_CERT and OMEGA_SMTP_KEY go together: files in PEM, for STARTTLS.');
  if (host !== undefined && /[\s/]/.test(host))
    problems.push('OMEGA_SMTP_HOST must be an address or a name of this machine, like 0.0.0.0.');
  return {
    port: readWhole('OMEGA_SMTP_PORT', port, ports, 25, problems),
    host: host ?? '127.0.0.1',
    certFile: cert ?? null,
    keyFile: key ?? null,
  };
}

/** A number of hops, or the proxies' addresses and networks, with commas. */
function readTrustProxy(text: string | undefined, problems: string[]): number | string[] | undefined {
  if (text === undefined || text === 'off') return undefined;
  if (/^[1-9]$/.test(text)) return Number(text);
  const addresses = text.split(',').map((part) => part.trim());
  const isNetwork = (part: string) => {
    const [address = '', bits = '0', ...rest] = part.split('/');
    return rest.length === 0 && isIP(address) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= 128;
  };
  if (addresses.every(isNetwork)) return addresses;
  problems.push(
    `OMEGA_TRUST_PROXY must be a number of hops from 1 to 9, or the proxies' addresses, like 10.0.0.0/8; it is ${shown(text)}.`,
  );
  return undefined;
}

/** Names and addresses, each with a port or for every port, and networks; with commas. */
function readWebhookHosts(text: string | undefined, problems: string[]): string[] {
  if (text === undefined) return [];
  const entries = text.split(',').map((part) => part.trim().toLowerCase());
  const isNetwork = (entry: string) => {
    const [address = '', bits = '', ...rest] = entry.split('/');
    return (
      rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= ({ 4: 32, 6: 128 }[isIP(address)] ?? -1)
    );
  };
  const isHost = (entry: string) => {
    const [, host = '', port = '80'] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/.exec(entry) ?? [];
    // As it stands in a URL: 127.1 there is 127.0.0.1.
    return host !== '' && URL.parse(`http://${host}/`)?.hostname === host && Number(port) <= 65_535;
  };
  if (entries.every((entry) => (entry.includes('/') ? isNetwork(entry) : isHost(entry)))) return entries;
  problems.push(
    `OMEGA_WEBHOOK_HOSTS must be names or addresses, with a port or without, or networks, like crm.internal:8080,10.0.0.0/8; it is ${shown(text)}.`,
  );
  return [];
}

function readWhole(
  name: string,
  text: string | undefined,
  [least, most]: [number, number],
  usual: number,
  problems: string[],
): number {
  if (text === undefined) return usual;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  problems.push(`${name} must be a whole number from ${least} to ${most}; it is ${shown(text)}.`);
  return usual;
}

/** A host as it stands in a URL. Who listens everywhere is reached here by loopback. */
function inUrl(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

function readDatabase(
  url: string | undefined,
  folder: string | undefined,
  ofSearches: { searchPoolSize: number; searchTimeoutMs: number },
  problems: string[],
): Pick<Config, 'database' | 'databaseName' | 'dataDir'> {
  if (url === 'memory:' || (url === undefined && folder === 'memory:')) {
    return { database: { kind: 'memory' }, databaseName: 'in memory', dataDir: null };
  }
  if (url !== undefined) {
    const parsed = URL.parse(url);
    if (parsed?.protocol !== 'postgres:' && parsed?.protocol !== 'postgresql:') {
      problems.push(
        'DATABASE_URL must be like postgres://user:password@host:5432/name (characters such as @ or / in the password as %40, %2F), or memory: to keep nothing; leave it out for the embedded database.',
      );
    }
    const databaseName = parsed ? `${parsed.host || 'localhost'}${parsed.pathname}` : 'unknown';
    return { database: { kind: 'postgres', url, poolSize, ...ofSearches }, databaseName, dataDir: null };
  }
  const dataDir = resolve(folder ?? '.omega');
  return { database: { kind: 'pglite', dataDir }, databaseName: dataDir, dataDir };
}

function readPublicUrl(text: string | undefined, problems: string[]): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const isPlain =
    url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash;
  if (isPlain) return text.replace(/\/+$/, '');
  problems.push(
    'OMEGA_PUBLIC_URL must be the address that carriers and browsers reach Omega at, like https://omega.example.com.',
  );
  return undefined;
}

function readBasePath(text: string, problems: string[]): string {
  const path = text.replace(/\/+$/, '');
  if (!/^(\/[A-Za-z0-9._~-]+)+$/.test(path)) {
    problems.push(`OMEGA_BASE_PATH must start with / and name a path, like /omega; it is ${shown(text)}.`);
  } else if (path === '/docs') {
    problems.push('OMEGA_BASE_PATH must not be /docs: the reference page is there.');
  }
  return path;
}

function readSecret(
  secret: string | undefined,
  kind: DatabaseTarget['kind'],
  problems: string[],
): string | null {
  if (secret === undefined || secret.trim() === '') {
    if (kind === 'postgres') {
      problems.push(
        'OMEGA_SECRET is missing: with DATABASE_URL it must be set, to the same value at every start and in every process; make one with `openssl rand -base64 32`.',
      );
    }
    return null;
  }
  const length = Buffer.byteLength(secret);
  if (length >= shortestSecret) return secret;
  problems.push(
    `OMEGA_SECRET must have at least ${shortestSecret} bytes; it has ${length}: make one with \`openssl rand -base64 32\`.`,
  );
  return null;
}

function readPlatformKey(key: string | undefined, problems: string[]): string | null {
  if (key === undefined || key.trim() === '') return null;
  if (/^[!-~]+$/.test(key) && key.length >= shortestKey && key.length <= longestKey) return key;
  problems.push(
    `OMEGA_PLATFORM_KEY must look like a credential: ${shortestKey} to ${longestKey} printable ASCII characters without spaces; make one with \`openssl rand -hex 32\`.`,
  );
  return null;
}

function readChoice<const Choice extends string>(
  name: string,
  text: string | undefined,
  choices: readonly Choice[],
  usual: Choice,
  problems: string[],
): Choice {
  if (text === undefined) return usual;
  const choice = choices.find((one) => one === text.toLowerCase());
  if (choice !== undefined) return choice;
  problems.push(`${name} must be one of ${choices.join(', ')}; it is ${shown(text)}.`);
  return usual;
}

function misspellings(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('OMEGA_') && !ownNames.includes(name))
    .sort()
    .map((name) => {
      const [nearest] = ownNames
        .map((own) => ({ own, distance: editDistance(name, own) }))
        .sort((a, b) => a.distance - b.distance);
      const meant = nearest && nearest.distance <= 3 ? `; did you mean ${nearest.own}?` : '.';
      return `${name} is set, but Omega does not know it${meant}`;
    });
}

/** How many letters to insert, drop or change (Levenshtein). */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, otherLetter] of [...other].entries()) {
      const changed = row[j]! + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(changed, row[j + 1]! + 1, next[j]! + 1));
    }
    row = next;
  }
  return row[other.length]!;
}

/** A value in a sentence: quoted, and cut where somebody pasted a book. */
function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
