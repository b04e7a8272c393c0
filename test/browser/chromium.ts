import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';

/** The browser under test: Debian's, unless CHROMIUM_PATH names another. */
const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';

/** Why there is nothing to run browser tests with; undefined where there is. */
export const missing: string | undefined = existsSync(executablePath)
  ? undefined
  : `there is no browser at ${executablePath}: \`apt-get install chromium\`, or name one with CHROMIUM_PATH`;

/** A browser of one test file's own, which reaches this machine and nothing else. */
export interface Browser {
  page: Page;
  /** The URLs of requests that wanted to leave the machine. They were refused. */
  refused: string[];
  /** What the page complained about: errors nobody caught, and those of its console. */
  errors: string[];
  close(): Promise<void>;
}

/**
 * Starts Chromium without a profile: nothing is left over from earlier runs, nothing is kept.
 *
 * @param more switches beside the usual
 */
export async function openBrowser(more: string[] = []): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), 'omega-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 1280, height: 900 },
    args: [
      // Chromium's sandbox does not start as root, which CI machines run as. It sees our own pages alone.
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // For what no page asks for and no route sees: names have no address here.
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      ...more,
    ],
  });
  const refused = await keepOnLoopback(context);
  const page = context.pages()[0] ?? (await context.newPage());
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  return {
    page,
    refused,
    errors,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

async function keepOnLoopback(context: BrowserContext): Promise<string[]> {
  const refused: string[] = [];
  await context.route(
    (url) => url.hostname !== '127.0.0.1',
    async (route) => {
      refused.push(route.request().url());
      await route.abort();
    },
  );
  return refused;
}
