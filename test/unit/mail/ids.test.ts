import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSecrets } from '../../../server/core/secrets.ts';
import { mailIdOf, readMailId, readReplyAddress, replyAddress } from '../../../server/mail/ids.ts';

const secrets = createSecrets('a secret for tests, of more than 32 bytes');
const others = createSecrets('another secret for tests, of 32 bytes too');
const businessId = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const uuid = fc.uuid();

test('a Message-ID names its message, with brackets or without, and nobody else can make one up', () => {
  fc.assert(
    fc.property(uuid, (messageId) => {
      const mailId = mailIdOf(messageId, 'hello@lotus.example', secrets);
      expect(mailId).toMatch(/^[A-Za-z0-9._-]+@lotus\.example$/);
      expect(readMailId(mailId, secrets)).toEqual({ messageId });
      expect(readMailId(` <${mailId}> `, secrets)).toEqual({ messageId });
      expect(readMailId(mailId, others)).toBeNull();
    }),
  );
});

test('a reply address names its conversation in any letter case and at any domain, within 64 characters', () => {
  fc.assert(
    fc.property(businessId, uuid, (business, conversationId) => {
      const to = { businessId: business, conversationId };
      const address = replyAddress(to, 'reply.lotus.example', secrets);
      const [local] = address.split('@');
      expect(local!.length).toBeLessThanOrEqual(64);
      expect(readReplyAddress(address, secrets)).toEqual(to);
      expect(readReplyAddress(`<${local!.toUpperCase()}@Other.Example>`, secrets)).toEqual(to);
      expect(readReplyAddress(address, others)).toBeNull();
    }),
  );
});

test('each change of one character is refused', () => {
  const messageId = '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11';
  const mailId = mailIdOf(messageId, 'a@b.example', secrets);
  const to = { businessId: 1001, conversationId: '0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e12' };
  const address = replyAddress(to, 'b.example', secrets);
  const changes = (text: string, alphabet: string) =>
    [...text.split('@')[0]!].flatMap((was, i) =>
      [...alphabet]
        .filter((other) => other !== was)
        .map((other) => text.slice(0, i) + other + text.slice(i + 1)),
    );
  for (const changed of changes(mailId, '01fgAZ-_.@'))
    expect(readMailId(changed, secrets), changed).toBeNull();
  for (const changed of changes(address, '019avwz+@'))
    expect(readReplyAddress(changed, secrets), changed).toBeNull();
});

test('whatever the bytes, they are read or refused, and nothing is thrown', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      expect(readMailId(text, secrets)).toBeNull();
      expect(readReplyAddress(`reply+${text}@b.example`, secrets)).toBeNull();
    }),
  );
  expect(readMailId('<'.repeat(100_000), secrets)).toBeNull();
  expect(readReplyAddress(`reply+${'0'.repeat(100_000)}`, secrets)).toBeNull();
});
