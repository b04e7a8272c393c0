import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bundleSdk } from '../../scripts/build-sdk.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';
import { type Browser, missing, openBrowser } from './chromium.ts';

let omega: RunningOmega | undefined;
let browser: Browser | undefined;

beforeAll(async () => {
  if (missing) return console.warn(`Skipped: ${missing}.`);
  omega = await startOmega();
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await omega?.close();
});

beforeEach(({ skip }) => skip(missing !== undefined, missing));

test('the typed client works in a browser as it is built: by a staff session, with the cookie alone', async () => {
  const { api } = await omega!.business({ business_id: 1001 });
  const session = await api.post('/authentication/token', { staff_id: 12345 });
  const { page, refused } = browser!;
  const origin = new URL(omega!.url).origin;
  await page.context().addCookies([{ name: 'omega_session', value: session.body.token, url: origin }]);
  await page.goto(`${origin}/omega/health`);
  const { code } = await bundleSdk();

  // As text: Vite would write its own import in place of the browser's.
  const script = `new Blob([${JSON.stringify(code)}], { type: 'text/javascript' })`;
  await page.evaluate(
    `import(URL.createObjectURL(${script})).then((sdk) => { globalThis.sdk = { ...sdk }; })`,
  );
  const found = await page.evaluate(async () => {
    const { Omega, unwrap } = (globalThis as unknown as { sdk: typeof import('omega/sdk') }).sdk;
    const client = new Omega({ baseUrl: '/omega' });
    const sent = unwrap(await client.queueSms({ business_id: 1001, to: '+12025550123', content: 'Hello' }));
    const file = new Blob(['client_id,name\n601,Ana Lima\n']);
    const asked = { business_id: 1001, content_type: 'text/csv' } as const;
    const imported = unwrap(await client.importClients({ ...asked, body: file }));
    const previews: (string | undefined)[] = [];
    for await (const row of client.all('listConversations', { business_id: 1001 }))
      previews.push(row.last_message?.preview);
    const wrong = await client.queueSms({ business_id: 1001, to: 'nobody', content: 'hi' });
    return { status: sent.status, created: imported.created, previews, code: wrong.error?.code };
  });
  expect(found).toEqual({ status: 'queued', created: 1, previews: ['Hello'], code: 'invalid_parameters' });
  expect(refused).toEqual([]);
});
