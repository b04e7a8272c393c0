import { Resolver } from 'node:dns/promises';
import type { CarrierSender, Problem } from '../../channels/index.ts';

/** What is asked of DNS; `Resolver` of node:dns/promises has it. */
export interface DomainLookup {
  resolveMx(domain: string): Promise<{ exchange: string }[]>;
  resolveTxt(domain: string): Promise<string[][]>;
}

/** The machine's own resolver, and not for long: a check must not hang on it. */
export function systemDomainLookup(): DomainLookup {
  return new Resolver({ timeout: 2_000, tries: 1 });
}

/** Names that never stand in DNS (RFC 2606, RFC 6761): nobody is asked about them. */
const reserved = /(?:^|\.)(?:example|example\.(?:com|net|org)|invalid|localhost|test)$/;
/** A business has a domain or two. */
const mostDomains = 10;

/**
 * Looks whether the senders' domains can be answered and believed: MX (RFC 5321, 5.1), SPF (RFC 7208) and DMARC
 * (RFC 7489). Hints, and no faults: mail goes out without them, and then into the spam. What cannot be looked up
 * now is not spoken of.
 */
export async function checkDomains(
  senders: readonly CarrierSender[],
  lookup: DomainLookup,
  signal: AbortSignal,
): Promise<Problem[]> {
  const domains = new Set(senders.map(({ address }) => address.slice(address.lastIndexOf('@') + 1)));
  const replyDomains = new Set(senders.flatMap(({ replyDomain }) => replyDomain ?? []));
  const asked = [
    ...[...domains].map((domain) => senderHints(domain, lookup)),
    ...[...replyDomains].filter((domain) => !domains.has(domain)).map((domain) => replyHints(domain, lookup)),
  ].slice(0, mostDomains);
  const aborted = Promise.withResolvers<Problem[][]>();
  const giveUp = () => aborted.resolve([]);
  if (signal.aborted) return [];
  signal.addEventListener('abort', giveUp, { once: true });
  const hints = await Promise.race([Promise.all(asked), aborted.promise]);
  signal.removeEventListener('abort', giveUp);
  return hints.flat();
}

async function senderHints(domain: string, lookup: DomainLookup): Promise<Problem[]> {
  if (reserved.test(domain)) return [];
  const [mx, spf, dmarc] = await Promise.all([
    has(() => lookup.resolveMx(domain)),
    has(() => lookup.resolveTxt(domain), /^v=spf1\b/i),
    // A subdomain without a record of its own falls under its parent's, which is not looked for here.
    has(() => lookup.resolveTxt(`_dmarc.${domain}`), /^v=DMARC1\b/i),
  ]);
  return [
    ...(mx === 'no'
      ? [
          hint(
            domain,
            'has no MX record: answers and bounces to it are lost.',
            'Publish an MX record for it.',
          ),
        ]
      : []),
    ...(spf === 'no'
      ? [
          hint(
            domain,
            'has no SPF record: receivers may take its mail for forged.',
            'Publish the SPF record that your mail provider names.',
          ),
        ]
      : []),
    ...(dmarc === 'no' && domain.split('.').length === 2
      ? [
          hint(
            domain,
            'has no DMARC record, which Gmail and Yahoo want of senders.',
            `Publish a TXT record _dmarc.${domain}: v=DMARC1; p=none.`,
          ),
        ]
      : []),
  ];
}

async function replyHints(domain: string, lookup: DomainLookup): Promise<Problem[]> {
  if (reserved.test(domain) || (await has(() => lookup.resolveMx(domain))) !== 'no') return [];
  return [
    hint(
      domain,
      'has no MX record: answers to it are lost.',
      'Point its MX to your inbound provider, or leave reply_domain out.',
    ),
  ];
}

async function has(ask: () => Promise<unknown[]>, record?: RegExp): Promise<'yes' | 'no' | 'not known'> {
  try {
    const answers = await ask();
    const found = record
      ? answers.some((parts) => record.test((parts as string[]).join('')))
      : answers.length > 0;
    return found ? 'yes' : 'no';
  } catch (error) {
    // c-ares: the name or the record is not there. Everything else is DNS' own trouble.
    return ['ENOTFOUND', 'ENODATA'].includes((error as { code?: string }).code ?? '') ? 'no' : 'not known';
  }
}

const hint = (about: string, error: string, remedy: string): Problem => ({
  about,
  error,
  remedy,
  hint: true,
});
