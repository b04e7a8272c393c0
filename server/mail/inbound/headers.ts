import { parseAddressHeader } from 'mailparser';

/** A mail's headers in their order, the newest hop's first; names in lower case, values decoded and unfolded. */
export type HeaderList = readonly { name: string; value: string }[];

/** Longer headers are not read: a name of a megabyte keeps a parser busy and tells nobody anything. */
const longestHeader = 16_384;
const mostHeaders = 1_000;
const mostAddresses = 200;

/** Headers as somebody else read them, made fit to be looked at. */
export function headerList(pairs: Iterable<readonly [string, string]>): HeaderList {
  const headers: { name: string; value: string }[] = [];
  for (const [name, value] of pairs) {
    if (headers.length === mostHeaders) break;
    headers.push({
      name: name.trim().toLowerCase(),
      value: value
        .slice(0, longestHeader)
        .replaceAll(/\r?\n[ \t]*/g, ' ')
        .trim(),
    });
  }
  return headers;
}

export function headerOf(headers: HeaderList, name: string): string | null {
  return headers.find((header) => header.name === name)?.value ?? null;
}

export function allOf(headers: HeaderList, name: string): string[] {
  return headers.filter((header) => header.name === name).map((header) => header.value);
}

/** The addresses in a header such as `To`, in lower case, groups opened. */
export function addressesOf(headers: HeaderList, ...names: string[]): string[] {
  return mailboxesOf(headers, ...names).map((mailbox) => mailbox.address);
}

export function mailboxesOf(headers: HeaderList, ...names: string[]): { address: string; name: string }[] {
  return names
    .flatMap((name) => allOf(headers, name))
    .flatMap((value) => {
      const { value: parsed } = parseAddressHeader(value, { flatten: true, decodePunycode: false });
      return parsed.slice(0, mostAddresses);
    })
    .flatMap(({ address, name }) => (address ? [{ address: address.toLowerCase(), name }] : []))
    .slice(0, mostAddresses);
}

/** The Message-IDs in a header, without brackets, in their order. */
export function mailIdsIn(value: string | null): string[] {
  return [...(value ?? '').matchAll(/<([^<>\s]{1,500})>/g)].map((match) => match[1]!);
}

/** The mail's own Message-ID, without brackets; old servers leave them out. */
export function mailIdOfHeaders(headers: HeaderList): string | null {
  const value = headerOf(headers, 'message-id');
  if (value === null) return null;
  return mailIdsIn(value)[0] ?? (/^[^\s<>]{1,500}$/.test(value) ? value : null);
}

/** What a mail says it answers, the nearest first (RFC 5322, 3.6.4). */
export function referencesOf(headers: HeaderList): string[] {
  const answered = mailIdsIn(headerOf(headers, 'in-reply-to'));
  const thread = mailIdsIn(headerOf(headers, 'references')).reverse();
  return [...new Set([...answered, ...thread])];
}
