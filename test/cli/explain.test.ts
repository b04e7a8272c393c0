import { describe, expect, it } from 'vitest';
import { explain } from '../../server/cli/explain.ts';
import { readConfig } from '../../server/config.ts';
import { Fault } from '../../server/core/fault.ts';
import { WrongSecret } from '../../server/secret-fits.ts';
import { testSecret } from '../support/omega.ts';

const embedded = readConfig({ OMEGA_DATA_DIR: '/data', HOST: 'omega.internal', PORT: '80' }, false);
const postgres = readConfig(
  { DATABASE_URL: 'postgres://omega:a-password@db.example/main', OMEGA_SECRET: testSecret },
  false,
);
const fault = (code: string, more: object = {}) => Object.assign(new Error(`raw ${code}`), { code, ...more });

describe('an error whose cause lies outside', () => {
  it.each([
    ['EADDRINUSE', fault('EADDRINUSE', { syscall: 'listen' }), embedded, 'PORT=81'],
    ['EACCES', fault('EACCES', { syscall: 'listen' }), embedded, 'PORT=8080'],
    [
      'a HOST nobody knows',
      fault('ENOTFOUND', { syscall: 'getaddrinfo', hostname: 'omega.internal' }),
      embedded,
      'HOST',
    ],
    ['a folder that is read-only', fault('EROFS', { path: '/data/secret' }), embedded, 'OMEGA_DATA_DIR'],
    ['a full disk', fault('ENOSPC', { path: '/data/pglite/base' }), embedded, '/data is full'],
    ['data that do not open', new Error('PGlite failed to initialize properly'), embedded, 'backup'],
    ['a secret file that was replaced', new WrongSecret(), embedded, '/data/secret'],
    ['another OMEGA_SECRET', new WrongSecret(), postgres, 'OMEGA_SECRET is not the one'],
    ['no Postgres there', fault('ECONNREFUSED'), postgres, 'db.example/main does not answer'],
    [
      'a host of the database nobody knows',
      fault('ENOTFOUND', { syscall: 'getaddrinfo', hostname: 'db.example' }),
      postgres,
      'DATABASE_URL',
    ],
    ['a database that is not there', fault('3D000'), postgres, 'createdb main'],
    ['a wrong password', fault('28P01'), postgres, 'user or password'],
    [
      'a database that is silent',
      new Error('timeout exceeded when trying to connect'),
      postgres,
      'does not answer',
    ],
    [
      'a newer schema',
      new Error('corrupted migrations: previously executed migration 0009_x is missing'),
      postgres,
      'newer version',
    ],
    [
      'a refusal of the API',
      new Fault('not_found', 'There is no such business here.'),
      postgres,
      'no such business',
    ],
  ])('%s is told in one sentence that says what to do', (_, error, config, words) => {
    const sentence = explain(error, config);
    expect(sentence).toMatch(/^[^\n]+\.$/);
    expect(sentence).toContain(words);
    expect(sentence).not.toContain('a-password');
  });

  it('a fault of ours is not explained away', () => {
    expect(explain(new TypeError('x is not a function'), embedded)).toBeNull();
    expect(explain(fault('23505'), postgres)).toBeNull();
    expect(explain(new Fault('internal', 'Something of ours went wrong.'), embedded)).toBeNull();
  });
});
