import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listKeys, revokeKey } from '../../server/access/index.ts';
import { firstPlatformKey } from '../../server/cli/platform-key.ts';
import { type Config, readConfig } from '../../server/config.ts';
import { type Database, openDatabase } from '../../server/core/db/index.ts';
import { eventually } from '../support/eventually.ts';
import { lotus } from '../support/lotus.ts';
import { clientOf, testSecret } from '../support/omega.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { curlLines, freePort, omega, type Running, ready, run } from './support.ts';

let postgres: TestPostgres;
let env: Record<string, string>;
let url: string;

beforeAll(async () => {
  postgres = await startPostgres();
  const port = await freePort();
  url = `http://127.0.0.1:${port}/omega`;
  env = {
    PORT: String(port),
    DATABASE_URL: await postgres.createEmptyDatabase('cli'),
    OMEGA_SECRET: testSecret,
    LOG_LEVEL: 'info',
  };
});

afterAll(async () => {
  await postgres?.stop();
});

describe('before the first start on Postgres', () => {
  it('a command that needs the schema says to migrate; doctor fails and says so too', async () => {
    const [list, doctor] = await Promise.all([run(['key', 'list'], env), run(['doctor'], env)]);
    expect(list.code).toBe(1);
    expect(list.stderr).toMatch(/^omega: The schema of .+ run `omega migrate` first\.\n$/);
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/^fail +schema .*\n +→ Run `omega migrate`/m);
  });

  it('migrate brings the schema up, and a second time finds nothing to do', async () => {
    const first = await run(['migrate'], env);
    expect([first.code, first.stderr]).toEqual([0, '']);
    expect(first.stdout).toMatch(/^Applied 0001_\S+/);
    expect((await run(['migrate'], env)).stdout).toMatch(/^Nothing to do/);
  });

  it.concurrent.each([
    ['nobody listens', (at: URL) => Object.assign(at, { port: '1' }), /does not answer \(ECONNREFUSED\)/],
    ['the password is wrong', (at: URL) => Object.assign(at, { password: 'no' }), /refuses the user or pass/],
  ])('where %s, a start says what to do in one sentence', async (_, change, sentence) => {
    const DATABASE_URL = change(new URL(env.DATABASE_URL!)).href;
    const { code, stdout, stderr } = await run(['start'], { ...env, DATABASE_URL });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^omega: .+\n$/);
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toContain(new URL(DATABASE_URL).password);
  });
});

describe('processes that start at the same moment', () => {
  let database: Database;

  beforeAll(async () => {
    const url = await postgres.createDatabase('first_starts');
    database = await openDatabase({ kind: 'postgres', url, poolSize: 8 }, () => undefined);
  });

  afterAll(async () => {
    await database?.close();
  });

  const together = (config: Config) =>
    Promise.all(Array.from({ length: 8 }, () => firstPlatformKey(database.db, config)));

  it('make one platform key between them, and one of them shows it', async () => {
    const shown = (await together(readConfig({}, false))).filter((key) => key !== null);
    expect(shown).toHaveLength(1);
    expect(await listKeys(database.db)).toHaveLength(1);
  });

  it('all take the platform key that is given from outside', async () => {
    const given = readConfig({ OMEGA_PLATFORM_KEY: 'a-platform-key-from-the-vault-4711' }, false);
    expect(await together(given)).toEqual(Array(8).fill(null));
    expect(await listKeys(database.db)).toHaveLength(2);
  });

  it('refuse a given key that was revoked', async () => {
    const given = readConfig({ OMEGA_PLATFORM_KEY: 'a-platform-key-from-the-vault-4711' }, false);
    const [, key] = await listKeys(database.db);
    await revokeKey(database.db, key!.key_id, new Date());
    await expect(firstPlatformKey(database.db, given)).rejects.toThrow('OMEGA_PLATFORM_KEY was revoked');
  });
});

describe('server and worker as processes of their own', () => {
  let server: Running;
  let worker: Running;
  let key: string;

  beforeAll(async () => {
    server = omega(['server'], env);
    await server.says(ready);
  });

  afterAll(async () => {
    for (const process of [server, worker]) process?.signal('SIGKILL');
    await Promise.all([server?.ended, worker?.ended]);
  });

  it('the first start on Postgres makes no demo, and prints the platform key and a curl line that onboards', async () => {
    const words = server.stdout();
    const platformKey = /omp_[\w-]+/.exec(words)![0];
    const [line, ...more] = curlLines(words);
    expect(line).toContain('/business/onboard');
    expect(line).toContain(platformKey);
    expect(more).toEqual([]);
    const { status, body } = await clientOf(url, platformKey).post('/business/onboard', lotus);
    expect(status).toBe(202);
    key = body.api_key;
  });

  it('what the server queues the worker delivers', async () => {
    const api = clientOf(url, key);
    const queued = await api.post('/sms/queue', { client_id: 7, to: '+12025550123', content: 'Hello' });
    expect(queued.status).toBe(202);
    const path = `/businesses/1001/clients/7/conversations/${queued.body.conversation_id}/messages`;
    expect((await api.get(path)).body.data[0].status).toBe('queued');
    worker = omega(['worker'], env);
    await worker.says(/working on jobs/);
    await eventually(async () => expect((await api.get(path)).body.data[0].status).toBe('delivered'));
  });

  it('a key that is made holds at once, is listed without its text, and is refused once revoked', async () => {
    const made = await run(
      ['key', 'create', '--business', '1001', '--name', 'reports', '--scopes', 'read', '--expires', '90d'],
      env,
    );
    expect(made.code).toBe(0);
    const newKey = made.stdout.trim();
    expect(newKey).toMatch(/^omk_[\w-]{43}$/);
    const api = clientOf(url, newKey);
    expect((await api.get('/businesses/1001/conversations')).status).toBe(200);
    expect((await api.post('/sms/queue', { client_id: 7, content: 'Hello' })).status).toBe(403);

    const list = await run(['key', 'list', '--business', '1001'], env);
    const row = list.stdout.split('\n').find((line) => line.includes('reports'))!;
    expect(row).toContain('business 1001');
    expect(row).toContain('holds until');
    expect(list.stdout).not.toContain(newKey);
    expect(list.stdout).not.toContain(newKey.slice(4, 20));

    const [id] = row.split(' ');
    expect(await run(['key', 'revoke', id!], env)).toMatchObject({ code: 0, stdout: `Revoked ${id}.\n` });
    expect((await api.get('/businesses/1001/conversations')).status).toBe(401);
    const again = await run(['key', 'revoke', id!], env);
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/^omega: There is no key .+\n$/)]);
  });

  it('a key for a business that is not there, and a second demo studio, are refused with one sentence', async () => {
    const [stranger, demo] = await Promise.all([
      run(['key', 'create', '--business', '4711'], env),
      run(['demo'], env),
    ]);
    expect([stranger.code, stranger.stdout]).toEqual([1, '']);
    expect(stranger.stderr).toMatch(/^omega: .*business.*\n$/);
    expect([demo.code, demo.stdout]).toEqual([1, '']);
    expect(demo.stderr).toMatch(/^omega: Business 1001 is there already.*\n$/);
  });

  it('SIGTERM ends both cleanly with 0', async () => {
    for (const process of [server, worker]) process.signal('SIGTERM');
    expect((await server.ended).code).toBe(0);
    expect((await worker.ended).code).toBe(0);
  });
});

describe('doctor', () => {
  let folder: string;
  let client: pg.Client;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'omega-doctor-'));
    client = new pg.Client({ connectionString: env.DATABASE_URL });
    await client.connect();
  });

  afterAll(async () => {
    await client?.end();
    await rm(folder, { recursive: true, force: true });
  });

  it('finds nothing to mend where all is well', async () => {
    const { code, stdout } = await run(['doctor'], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok +database +Postgres 1[5-9] at /m);
    expect(stdout).toMatch(/^ok +carriers +2 senders of 1 businesses/m);
    expect(stdout).toMatch(/All is well\.\n$/);
  });

  it("asks one business's carriers about its senders, and knows one that is not here", async () => {
    const { code, stdout } = await run(['doctor', '--business', '1001'], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok +business 1001 +simulator takes \+15005550006, hello@lotus\.example$/m);
    const other = await run(['doctor', '--business', '77'], env);
    expect(other.code).toBe(1);
    expect(other.stdout).toMatch(/^fail +business 77 +is not here\n +→ /m);
  });

  it('names each sender whose carrier it cannot use, and the dead letters with the latest errors', async () => {
    await client.query(
      `insert into senders (business_id, sender_id, channel, address, provider, created_at, updated_at) values
        (1001, gen_random_uuid(), 'sms', '+12025550199', 'twilio', now(), now()),
        (1001, gen_random_uuid(), 'email', 'a@b.example', 'smtp', now(), now())`,
    );
    await client.query(
      `insert into provider_accounts values (1001, 'smtp', 'v1.sealed-with-another-secret-altogether', now(), now())`,
    );
    await client.query(
      `insert into dead_letters values (gen_random_uuid(), 'send-message', 1001, '{}', '{"message":"The carrier burned down"}', now())`,
    );
    const { code, stdout } = await run(['doctor'], env);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /^fail +carriers +business 1001, sms \+12025550199: there are no credentials for/m,
    );
    expect(stdout).toMatch(/^fail +carriers +business 1001, email a@b\.example: .* do not open with this/m);
    expect(stdout).toMatch(/^fail +secret +OMEGA_SECRET is not the one/m);
    expect(stdout).toMatch(/^warn +dead letters +1 of send-message/m);
    expect(stdout).toContain('business 1001: The carrier burned down');
  });

  it('lists every fault of the configuration at once', async () => {
    const { code, stdout } = await run(['doctor'], {
      PORT: 'http',
      LOG_LEVEL: 'loud',
      DATABASE_URL: 'mysql://x',
    });
    expect(code).toBe(1);
    for (const name of ['PORT', 'LOG_LEVEL', 'DATABASE_URL', 'OMEGA_SECRET'])
      expect(stdout).toMatch(new RegExp(`^fail +configuration +${name} `, 'm'));
  });

  it('leaves an empty folder empty and finds nothing to mend', async () => {
    const data = join(folder, 'not-yet');
    const { code, stdout } = await run(['doctor'], { PORT: env.PORT, OMEGA_DATA_DIR: data });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok +data +.+the first start makes it$/m);
    await expect(rm(data)).rejects.toThrow('ENOENT');
  });
});
