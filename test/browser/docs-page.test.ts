import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { contract, type Operation } from '../../contract/index.ts';
import { type RunningOmega, startOmega } from '../support/omega.ts';
import { type Browser, missing, openBrowser } from './chromium.ts';

let omega: RunningOmega | undefined;
let browser: Browser | undefined;

beforeAll(async () => {
  if (missing) return console.warn(`Skipped: ${missing}.`);
  omega = await startOmega({ worker: false });
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  await omega?.close();
});

beforeEach(({ skip }) => skip(missing !== undefined, missing));

test('the reference page lists every operation of the contract, and asks no other machine for anything', async () => {
  const { page, refused, errors } = browser!;
  await page.goto(new URL('/docs', omega!.url).href);
  const list = page.getByRole('complementary');
  await list.getByRole('link', { name: 'health', exact: true }).waitFor();
  // The page opens the first tag by itself; a reader opens the others.
  const closed = list.getByRole('button', { name: /^Open Group/ });
  while ((await closed.count()) > 0) await closed.first().click();

  // The page shortens the one method that is too long for its column.
  const shown = (method: string) => (method === 'DELETE' ? 'DEL' : method);
  const linkTo = ({ summary, method }: Operation) =>
    list.getByRole('link', { name: `${summary} HTTP Method: ${shown(method)}`, exact: true }).first();
  for (const row of Object.values(contract)) await linkTo(row).waitFor();
  await linkTo(contract.queueSms).click();
  await page.getByRole('heading', { name: contract.queueSms.summary }).waitFor();

  const folder = await mkdtemp(join(tmpdir(), 'omega-docs-page-'));
  await page.screenshot({ path: join(folder, 'docs.png') });
  console.log(`How it looks: ${join(folder, 'docs.png')}`);
  expect(refused).toEqual([]);
  expect(errors).toEqual([]);
});

test('a request that would leave this machine is refused, and noticed', async () => {
  const { page, refused } = browser!;
  const answered = await page.evaluate(() =>
    fetch('http://elsewhere.example/').then(
      () => true,
      () => false,
    ),
  );
  expect(answered).toBe(false);
  expect(refused.at(-1)).toBe('http://elsewhere.example/');
});
