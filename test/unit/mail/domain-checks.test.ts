import { expect, test } from 'vitest';
import { checkDomains, type DomainLookup } from '../../../server/mail/outbound/domain-checks.ts';

const sender = (address: string, replyDomain: string | null = null) => ({
  channel: 'email',
  address,
  replyDomain,
});
const failing = (code: string) => () => Promise.reject(Object.assign(new Error(code), { code }));
const never = new AbortController().signal;

const zone: Record<string, string[]> = {
  'good.studio': ['v=spf1 include:_spf.mail.studio -all', 'google-site-verification=1'],
  '_dmarc.good.studio': ['v=DMARC1; p=none'],
};
const lookup: DomainLookup = {
  resolveMx: (domain) =>
    domain === 'good.studio' ? Promise.resolve([{ exchange: 'mx.mail.studio' }]) : failing('ENOTFOUND')(),
  // A long record comes in pieces (RFC 7208, 3.3).
  resolveTxt: (domain) =>
    domain in zone
      ? Promise.resolve(zone[domain]!.map((text) => [text.slice(0, 4), text.slice(4)]))
      : failing('ENODATA')(),
};

test('a domain that has all of it is not spoken of', async () => {
  expect(await checkDomains([sender('hello@good.studio', 'good.studio')], lookup, never)).toEqual([]);
});

test('what is missing is a hint, with what to do', async () => {
  const hints = await checkDomains([sender('hello@bad.studio', 'reply.bad.studio')], lookup, never);
  expect(hints.map(({ about, error, hint }) => [about, error.split(' record')[0], hint])).toEqual([
    ['bad.studio', 'has no MX', true],
    ['bad.studio', 'has no SPF', true],
    ['bad.studio', 'has no DMARC', true],
    ['reply.bad.studio', 'has no MX', true],
  ]);
  expect(hints.every(({ remedy }) => remedy.length > 20)).toBe(true);
});

test('trouble of DNS itself is no fault of the domain, and nobody asks about names that never exist', async () => {
  const asked: string[] = [];
  const ask = (domain: string, code: string) => {
    asked.push(domain);
    return failing(code)();
  };
  const broken: DomainLookup = {
    resolveMx: (domain) => ask(domain, 'ETIMEOUT'),
    resolveTxt: (domain) => ask(domain, 'ESERVFAIL'),
  };
  expect(await checkDomains([sender('hello@bad.studio')], broken, never)).toEqual([]);
  asked.length = 0;
  const reserved = ['a@lotus.example', 'a@example.com', 'a@x.test', 'a@b.invalid'].map((one) => sender(one));
  expect(await checkDomains(reserved, broken, never)).toEqual([]);
  expect(asked).toEqual([]);
});

test('a DNS that does not answer holds nothing up', async () => {
  const silent: DomainLookup = {
    resolveMx: () => new Promise(() => {}),
    resolveTxt: () => new Promise(() => {}),
  };
  const stop = new AbortController();
  const checked = checkDomains([sender('hello@bad.studio')], silent, stop.signal);
  stop.abort();
  expect(await checked).toEqual([]);
});
