import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identityOf, isClient, readIdentity } from '../../../server/calls/identity.ts';

describe('an identity', () => {
  test('is read as it was written, and has only characters that every Voice SDK takes', () => {
    const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(id, id, (businessId, staffId) => {
        const identity = identityOf({ businessId, staffId });
        expect(identity).toMatch(/^\w+$/);
        expect(readIdentity(`client:${identity}`)).toEqual({ businessId, staffId });
      }),
    );
  });

  test.each([
    undefined,
    '',
    'b1_s1',
    'client:b0_s1',
    'client:b1_s1 ',
    'client:b01_s1',
    'client:b1_s',
    'client:b1_s1\n',
    `client:b${'9'.repeat(16)}_s1`,
  ])('%j is none', (text) => expect(readIdentity(text)).toBeNull());

  test('tells a browser from a phone', () => {
    expect([isClient('client:mia'), isClient('+12025550123'), isClient(undefined)]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
