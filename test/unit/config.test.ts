import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, type Environment, readConfig } from '../../server/config.ts';

const postgres = { DATABASE_URL: 'postgres://omega:pass%40word@db.example:5433/omega' };
const secret = 's'.repeat(32);

/** What is wrong with the environment, by the variable that each sentence begins with. */
function problemsOf(env: Environment): Record<string, string> {
  try {
    readConfig(env, false);
    return {};
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return Object.fromEntries(error.problems.map((problem) => [problem.split(' ')[0]!, problem]));
  }
}

describe('an empty environment', () => {
  it('is right: loopback, port 8080, an embedded database in .omega, the simulator', () => {
    expect(readConfig({}, false)).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      database: { kind: 'pglite', dataDir: resolve('.omega') },
      publicUrl: 'http://127.0.0.1:8080',
      basePath: '/omega',
      secret: null,
      platformKey: null,
      simulator: true,
      logLevel: 'info',
      prettyLog: false,
      warnings: [],
    });
  });

  it('is the same where variables are set to nothing', () => {
    const names = ['PORT', 'HOST', 'DATABASE_URL', 'OMEGA_SECRET', 'OMEGA_PLATFORM_KEY', 'OMEGA_SIMULATOR'];
    expect(readConfig(Object.fromEntries(names.map((name) => [name, ' '])), false)).toEqual(
      readConfig({}, false),
    );
  });
});

describe('each variable', () => {
  it.each(['0', '65536', '80.5', '-1', 'http', '8080x', '0x50'])('PORT refuses %s', (PORT) => {
    expect(problemsOf({ PORT })).toEqual({ PORT: expect.stringContaining('1 to 65535') });
  });

  it('HOST stands in the public URL as it is called: brackets around IPv6, loopback for everywhere', () => {
    const at = (HOST: string) => readConfig({ HOST, PORT: '9000' }, false).publicUrl;
    expect(at('::1')).toBe('http://[::1]:9000');
    expect(at('0.0.0.0')).toBe('http://127.0.0.1:9000');
    expect(at('::')).toBe('http://[::1]:9000');
    expect(at('omega.internal')).toBe('http://omega.internal:9000');
  });

  it('DATABASE_URL names a Postgres, shown without its user and password', () => {
    const config = readConfig({ ...postgres, OMEGA_SECRET: secret }, false);
    expect(config.database).toMatchObject({ kind: 'postgres', url: postgres.DATABASE_URL });
    expect(config.databaseName).toBe('db.example:5433/omega');
    expect(config.dataDir).toBeNull();
  });

  it('OMEGA_SEARCH_CONNECTIONS and OMEGA_SEARCH_TIMEOUT_MS bound what searches take of a Postgres', () => {
    const read = (env: Environment) =>
      readConfig({ ...postgres, OMEGA_SECRET: secret, ...env }, false).database;
    expect(read({})).toMatchObject({ searchPoolSize: 3, searchTimeoutMs: 3_000 });
    expect(read({ OMEGA_SEARCH_CONNECTIONS: '5', OMEGA_SEARCH_TIMEOUT_MS: '1500' })).toMatchObject({
      searchPoolSize: 5,
      searchTimeoutMs: 1_500,
    });
    expect(problemsOf({ OMEGA_SEARCH_CONNECTIONS: '0', OMEGA_SEARCH_TIMEOUT_MS: '60000' })).toEqual({
      OMEGA_SEARCH_CONNECTIONS: expect.stringContaining('1 to 50'),
      OMEGA_SEARCH_TIMEOUT_MS: expect.stringContaining('100 to 10000'),
    });
  });

  it.each(['mysql://a/b', 'db.example', 'postgres', '/var/lib'])('DATABASE_URL refuses %s', (url) => {
    expect(problemsOf({ DATABASE_URL: url, OMEGA_SECRET: secret })).toEqual({
      DATABASE_URL: expect.stringContaining('postgres://'),
    });
  });

  it.each(['DATABASE_URL', 'OMEGA_DATA_DIR'])('%s=memory: keeps nothing', (name) => {
    expect(readConfig({ [name]: 'memory:' }, false)).toMatchObject({
      database: { kind: 'memory' },
      dataDir: null,
    });
  });

  it('OMEGA_SECRET is required with DATABASE_URL, and counted in bytes', () => {
    expect(problemsOf(postgres)).toEqual({ OMEGA_SECRET: expect.stringContaining('missing') });
    expect(problemsOf({ OMEGA_SECRET: 's'.repeat(31) })).toEqual({
      OMEGA_SECRET: expect.stringContaining('it has 31'),
    });
    expect(readConfig({ OMEGA_SECRET: 'é'.repeat(16) }, false).secret).toBe('é'.repeat(16));
  });

  it.each(['short', 'with space in the middle of it', 'ünïcödeünïcödeünïcödeünïcöde', 'k'.repeat(257)])(
    'OMEGA_PLATFORM_KEY refuses what is no credential, and does not show it (%s)',
    (OMEGA_PLATFORM_KEY) => {
      const problems = problemsOf({ OMEGA_PLATFORM_KEY });
      expect(Object.keys(problems)).toEqual(['OMEGA_PLATFORM_KEY']);
      expect(problems.OMEGA_PLATFORM_KEY).not.toContain(OMEGA_PLATFORM_KEY);
    },
  );

  it('OMEGA_PUBLIC_URL is taken without the slash at its end', () => {
    expect(readConfig({ OMEGA_PUBLIC_URL: 'https://omega.example/' }, false).publicUrl).toBe(
      'https://omega.example',
    );
  });

  it.each([
    'omega.example',
    'ftp://omega.example',
    'https://u:p@omega.example',
    'https://omega.example/?a=b',
  ])('OMEGA_PUBLIC_URL refuses %s', (OMEGA_PUBLIC_URL) => {
    expect(Object.keys(problemsOf({ OMEGA_PUBLIC_URL }))).toEqual(['OMEGA_PUBLIC_URL']);
  });

  it.each(['omega', '/', '//omega', '/a b', '/omega?x', '/docs'])('OMEGA_BASE_PATH refuses %s', (path) => {
    expect(Object.keys(problemsOf({ OMEGA_BASE_PATH: path }))).toEqual(['OMEGA_BASE_PATH']);
  });

  it('OMEGA_BASE_PATH may have several parts, and a slash at its end that does not count', () => {
    expect(readConfig({ OMEGA_BASE_PATH: '/api/omega/' }, false).basePath).toBe('/api/omega');
  });

  it('OMEGA_SIMULATOR and LOG_LEVEL take their words in any case, and no others', () => {
    expect(readConfig({ OMEGA_SIMULATOR: 'OFF', LOG_LEVEL: 'Debug' }, false)).toMatchObject({
      simulator: false,
      logLevel: 'debug',
    });
    expect(Object.keys(problemsOf({ OMEGA_SIMULATOR: 'no', LOG_LEVEL: 'verbose' }))).toEqual([
      'OMEGA_SIMULATOR',
      'LOG_LEVEL',
    ]);
  });
});

describe('what is wrong', () => {
  it('is told all at once, each in a sentence of one line', () => {
    const problems = problemsOf({
      ...postgres,
      PORT: 'x',
      OMEGA_PLATFORM_KEY: 'short',
      OMEGA_PUBLIC_URL: 'x',
      OMEGA_BASE_PATH: 'x',
      OMEGA_SIMULATOR: 'x',
      LOG_LEVEL: 'x',
    });
    expect(Object.keys(problems).sort()).toEqual([
      'LOG_LEVEL',
      'OMEGA_BASE_PATH',
      'OMEGA_PLATFORM_KEY',
      'OMEGA_PUBLIC_URL',
      'OMEGA_SECRET',
      'OMEGA_SIMULATOR',
      'PORT',
    ]);
    for (const problem of Object.values(problems)) expect(problem).toMatch(/^[^\n]+\.$/);
  });

  it('a misspelt name is warned about with the one that was meant; names of others are not', () => {
    const { warnings } = readConfig(
      { OMEGA_SECERT: secret, OMEGA_COLOUR: 'red', OMEGAPOINT: '1', PATH: '/bin' },
      false,
    );
    expect(warnings).toEqual([
      'OMEGA_COLOUR is set, but Omega does not know it.',
      'OMEGA_SECERT is set, but Omega does not know it; did you mean OMEGA_SECRET?',
    ]);
  });
});

describe('the log', () => {
  it('is for eyes on a terminal, and JSON elsewhere or in production', () => {
    expect(readConfig({}, true).prettyLog).toBe(true);
    expect(readConfig({}, false).prettyLog).toBe(false);
    expect(readConfig({ NODE_ENV: 'production' }, true).prettyLog).toBe(false);
  });
});

describe('OMEGA_TRUST_PROXY', () => {
  it('is off, a number of hops, or addresses and networks', () => {
    const read = (value?: string) => readConfig({ OMEGA_TRUST_PROXY: value }, false).trustProxy;
    expect([read(), read('off'), read('2')]).toEqual([undefined, undefined, 2]);
    expect(read('10.0.0.0/8, ::1')).toEqual(['10.0.0.0/8', '::1']);
    for (const wrong of ['on', '0', '10.0.0.0/x', 'proxy.example']) {
      expect(() => read(wrong)).toThrow(/OMEGA_TRUST_PROXY must be/);
    }
  });
});

describe('OMEGA_SMTP_PORT', () => {
  it('is off, or where mail is taken in, with STARTTLS where both files are named', () => {
    const read = (env: Record<string, string>) => readConfig(env, false).smtp;
    expect(read({})).toBeNull();
    expect(read({ OMEGA_SMTP_PORT: '2525' })).toEqual({
      port: 2525,
      host: '127.0.0.1',
      certFile: null,
      keyFile: null,
    });
    const files = { OMEGA_SMTP_CERT: '/tls/cert.pem', OMEGA_SMTP_KEY: '/tls/key.pem' };
    expect(read({ OMEGA_SMTP_PORT: '25', OMEGA_SMTP_HOST: '0.0.0.0', ...files })).toEqual({
      port: 25,
      host: '0.0.0.0',
      certFile: '/tls/cert.pem',
      keyFile: '/tls/key.pem',
    });
    expect(() => read({ OMEGA_SMTP_PORT: '70000' })).toThrow(/OMEGA_SMTP_PORT must be/);
    expect(() => read({ OMEGA_SMTP_PORT: '25', OMEGA_SMTP_CERT: 'cert.pem' })).toThrow(/go together/);
    expect(() => read({ OMEGA_SMTP_HOST: '0.0.0.0' })).toThrow(/OMEGA_SMTP_PORT is missing/);
  });
});
