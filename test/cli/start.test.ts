import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation, Message } from '../../contract/index.ts';
import { eventually } from '../support/eventually.ts';
import { clientOf } from '../support/omega.ts';
import { curlLines, freePort, omega, pasted, type Running, ready, run } from './support.ts';

/** One data folder and port for the life of this file: a first start, and what comes after it. */
let folder: string;
let env: Record<string, string>;
let url: string;
let running: Running;
let firstWords: string;
let demoKey: string;
let platformKey: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'omega-start-'));
  const port = await freePort();
  env = { PORT: String(port), OMEGA_DATA_DIR: join(folder, 'data'), LOG_LEVEL: 'info' };
  url = `http://127.0.0.1:${port}/omega`;
  running = omega(['start'], env);
  await running.says(ready);
  firstWords = running.stdout();
  demoKey = /omk_[\w-]+/.exec(firstWords)?.[0] ?? '';
  platformKey = /omp_[\w-]+/.exec(firstWords)?.[0] ?? '';
});

afterAll(async () => {
  running.signal('SIGKILL');
  await running.ended;
  await rm(folder, { recursive: true, force: true });
});

describe('a first start on the embedded database', () => {
  it('says where the API and the reference page are, and both answer there', async () => {
    expect(firstWords).toContain(url);
    const page = `${url.replace('/omega', '')}/docs`;
    expect(firstWords).toContain(page);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(page)).status).toBe(200);
  });

  it('prints two curl lines that queue an SMS and read it back delivered, pasted as they are', async () => {
    const [queue, read, ...more] = curlLines(firstWords);
    expect(more).toEqual([]);
    const queued = await pasted(queue!);
    expect(queued).toMatchObject({ status: 'queued', client_id: 501 });
    await eventually(async () => {
      const { data } = await pasted(read!);
      expect(data[0]).toMatchObject({ message_id: queued.message_id, status: 'delivered' });
    });
  });

  it('prints a platform key that holds, and colours nothing outside a terminal', async () => {
    const { status } = await clientOf(url, platformKey).get('/businesses/1001/conversations');
    expect(status).toBe(200);
    expect(firstWords.includes('\u001b')).toBe(false);
  });

  it('keeps its secret for its owner alone', async () => {
    expect((await stat(join(folder, 'data', 'secret'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'data'))).mode & 0o777).toBe(0o700);
  });

  it('makes a demo studio in which one client waits unread and every counter is true', async () => {
    const api = clientOf(url, demoKey);
    const { body } = await api.get('/businesses/1001/conversations?limit=100');
    const rows: Conversation[] = body.data;
    expect(rows).toHaveLength(8);
    const unread = rows.filter((row) => row.unread_count > 0);
    expect(unread.map((row) => row.client.name)).toEqual(['Carla Rossi']);
    expect(rows.filter((row) => row.waiting_since !== null)).toEqual(unread);
    expect(rows.filter((row) => row.assignee !== null)).toHaveLength(1);

    const statuses = new Set<string>();
    for (const row of rows) {
      const path = `/businesses/1001/clients/${row.client.client_id}/conversations/${row.conversation_id}/messages`;
      const texts: Message[] = (await api.get(`${path}?limit=100`)).body.data;
      expect(texts.filter((text) => text.unread)).toHaveLength(row.unread_count);
      expect(texts.every((text) => Date.parse(text.occurred_at) <= Date.now())).toBe(true);
      for (const text of texts) statuses.add(text.channel === 'note' ? 'note' : text.status);
    }
    expect([...statuses].sort()).toEqual(['delivered', 'note', 'received', 'suppressed', 'undelivered']);
  });

  it('gets the studio onboarded to the last step', async () => {
    await eventually(async () => {
      const { body } = await clientOf(url, demoKey).get('/business/1001/onboarding');
      expect(body.status).toBe('complete');
    });
  });
});

describe('beside a running Omega', () => {
  it('a second process on the same folder is refused with one sentence', async () => {
    const { code, stdout, stderr } = await run(['start'], { ...env, PORT: String(await freePort()) });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^omega: Another omega \(process \d+\) is using the data in .+\n$/);
  });

  it('a second start on its port is told that Omega runs there', async () => {
    const { code, stdout, stderr } = await run(['start'], env);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^omega: Omega \d+\.\d+\.\d+ runs at http:\S+ already: .+PORT.+\n$/);
  });

  it('doctor says that the port and the data are held by an Omega that runs', async () => {
    const { code, stdout } = await run(['doctor'], env);
    expect(stdout).toMatch(/^ok +port .+ held by Omega \d+\.\d+\.\d+, which answers$/m);
    expect(stdout).toMatch(/^ok +database +in use by process \d+$/m);
    expect(code).toBe(0);
  });
});

describe('a data folder that cannot be', () => {
  // /proc says ENOENT to every new folder, /sys and a folder under a file refuse it: superuser or not.
  it.each(['/proc/omega', '/proc/omega/deeper', '/sys/omega', '/etc/passwd/omega'])(
    '%s is told at once in one sentence that names OMEGA_DATA_DIR',
    async (dataDir) => {
      const { code, stdout, stderr } = await run(['start'], {
        PORT: String(await freePort()),
        OMEGA_DATA_DIR: dataDir,
      });
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^omega: [^\n]+ OMEGA_DATA_DIR [^\n]+\.\n$/);
    },
  );
});

describe('Ctrl-C and starting again', () => {
  it('SIGINT ends it cleanly with 0', async () => {
    const onboarded = await clientOf(url, platformKey).post('/business/onboard', {
      business_id: 1002,
      name: 'Reef Pilates',
      country: 'US',
      time_zone: 'America/New_York',
    });
    expect(onboarded.status).toBe(202);
    running.signal('SIGINT');
    expect((await running.ended).code).toBe(0);
    expect(running.stdout()).toContain('"msg":"stopped"');
  });

  it('a secret that opens nothing of what the database keeps sealed is refused with one sentence', async () => {
    const { code, stdout, stderr } = await run(['start'], { ...env, OMEGA_SECRET: 'x'.repeat(32) });
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^omega: OMEGA_SECRET is not the one .+\n$/);
  });

  it('a port that another program holds is told in one sentence that names PORT', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(Number(env.PORT), '127.0.0.1', resolve));
    const { code, stdout, stderr } = await run(['start'], env);
    other.close();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^omega: Port \d+ is taken by another program: .+PORT=\d+\.\n$/);
  });

  it('a second start keeps everything, prints no key, and says how to make another', async () => {
    running = omega(['start'], { ...env, npm_lifecycle_event: 'start' });
    await running.says(ready);
    expect(running.stdout()).not.toMatch(/om[pk]_/);
    expect(running.stdout()).toContain('npm run omega -- key create');
    const { body } = await clientOf(url, demoKey).get('/businesses/1001/conversations?client=Ana');
    expect(body.data[0].last_message).toMatchObject({
      preview: 'See you at 10 tomorrow, Ana',
      status: 'delivered',
    });
  });

  it('a second Ctrl-C ends it at once, though a carrier still keeps it waiting', async () => {
    const api = clientOf(url, demoKey);
    const { body } = await api.post('/sms/queue', { to: '+15005550016', content: 'No answer comes to this' });
    const path = `/businesses/1001/clients/${body.client_id}/conversations/${body.conversation_id}/messages`;
    await eventually(async () => expect((await api.get(path)).body.data[0].attempts).toBe(1));
    // A launcher may pass one press on twice within moments, so only a later signal is a second one.
    const presses = setInterval(() => running.signal('SIGINT'), 50);
    const { code, stdout } = await running.ended;
    clearInterval(presses);
    expect(code).toBe(130);
    expect(stdout).toContain('"msg":"stopping');
    expect(stdout).not.toContain('"msg":"stopped"');
  });
});
