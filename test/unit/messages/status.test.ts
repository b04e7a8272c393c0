import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MessageStatus, statuses } from '../../../contract/index.ts';
import { isEnd, isFailure, lateAttemptMayApply, nextStatus } from '../../../server/messages/status.ts';

const channels = ['sms', 'whatsapp', 'voice', 'email', 'webchat', 'a-custom-one'];
const ladders: Record<'carrier' | 'email', MessageStatus[]> = {
  carrier: ['scheduled', 'queued', 'sending', 'sent', 'failed', 'undelivered', 'delivered', 'read'],
  email: ['scheduled', 'queued', 'sending', 'sent', 'failed', 'delivered', 'read', 'undelivered'],
};
const ladderOf = (channel: string) => ladders[channel === 'email' ? 'email' : 'carrier'];

const channel = fc.constantFrom(...channels);
const anyStatus = fc.constantFrom(...statuses);
const reports = fc.array(fc.constantFrom(...ladders.carrier), { maxLength: 12 });

const fold = (on: string, from: MessageStatus, list: MessageStatus[]) =>
  list.reduce((status, reported) => nextStatus(on, status, reported).status, from);

describe('for every list of reports', () => {
  test('the order in which they come does not change where the message ends', () => {
    const shuffled = reports.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(channel, fc.constantFrom(...ladders.carrier), shuffled, (on, from, [list, other]) => {
        expect(fold(on, from, other)).toBe(fold(on, from, list));
      }),
    );
  });

  test('repeating any of them, anywhere, changes nothing', () => {
    const repeated = reports.chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc
          .array(fc.constantFrom(...(list.length ? list : (['queued'] as const))), { maxLength: 20 })
          .chain((again) => {
            const all = list.length ? [...list, ...again] : [];
            return fc.shuffledSubarray(all, { minLength: all.length });
          }),
      ),
    );
    fc.assert(
      fc.property(channel, repeated, (on, [list, other]) => {
        expect(fold(on, 'scheduled', other)).toBe(fold(on, 'scheduled', list));
      }),
    );
  });

  test('the rank never falls, and a status is applied exactly when it changes', () => {
    fc.assert(
      fc.property(channel, anyStatus, fc.array(anyStatus), (on, from, list) => {
        let current = from;
        for (const reported of list) {
          const next = nextStatus(on, current, reported);
          expect(next.applied).toBe(next.status !== current);
          expect(next.status).toBe(next.applied ? reported : current);
          const [before, after] = [current, next.status].map((status) => ladderOf(on).indexOf(status));
          if (after !== -1) expect(after).toBeGreaterThanOrEqual(before!);
          current = next.status;
        }
      }),
    );
  });

  test('an end stays an end', () => {
    fc.assert(
      fc.property(channel, anyStatus, fc.array(anyStatus), (on, from, list) => {
        fc.pre(isEnd(on, from));
        expect(fold(on, from, list)).toBe(from);
      }),
    );
  });
});

test('a status is an end exactly when no report can change it', () => {
  for (const on of channels) {
    for (const status of statuses) {
      expect([on, status, isEnd(on, status)]).toEqual([
        on,
        status,
        statuses.every((reported) => !nextStatus(on, status, reported).applied),
      ]);
    }
  }
});

describe('the sentences of the contract', () => {
  test('scheduled → queued → sending → sent → delivered → read, step by step and with steps left out', () => {
    const way: MessageStatus[] = ['scheduled', 'queued', 'sending', 'sent', 'delivered', 'read'];
    for (const on of channels) {
      way.forEach((from, i) => {
        for (const to of way.slice(i + 1))
          expect(nextStatus(on, from, to)).toEqual({ status: to, applied: true });
        for (const to of way.slice(0, i + 1))
          expect(nextStatus(on, from, to)).toEqual({ status: from, applied: false });
      });
    }
  });

  test('undelivered and failed may follow sent', () => {
    for (const on of channels) {
      expect(nextStatus(on, 'sent', 'undelivered').status).toBe('undelivered');
      expect(nextStatus(on, 'sent', 'failed').status).toBe('failed');
    }
  });

  test('a late bounce turns delivered, and even opened, mail into undelivered, and stays', () => {
    expect(fold('email', 'sent', ['delivered', 'undelivered'])).toBe('undelivered');
    expect(fold('email', 'sent', ['delivered', 'read', 'undelivered'])).toBe('undelivered');
    expect(fold('email', 'undelivered', ['delivered', 'read'])).toBe('undelivered');
  });

  test("a carrier's delivered is not undone by a late undelivered or failed, and undoes them", () => {
    for (const on of channels.filter((name) => name !== 'email')) {
      expect(fold(on, 'delivered', ['undelivered', 'failed'])).toBe('delivered');
      expect(fold(on, 'sent', ['failed', 'undelivered', 'delivered'])).toBe('delivered');
    }
  });

  test('delivered beats a late sent', () => {
    for (const on of channels)
      expect(nextStatus(on, 'delivered', 'sent')).toEqual({ status: 'delivered', applied: false });
  });

  test('canceled and suppressed are reached only from scheduled and queued', () => {
    for (const on of channels) {
      for (const end of ['canceled', 'suppressed'] as const) {
        for (const from of statuses) {
          const expected = from === 'scheduled' || from === 'queued';
          expect([on, from, end, nextStatus(on, from, end).applied]).toEqual([on, from, end, expected]);
        }
      }
    }
  });

  test('an inbound message stays received, and nothing becomes received', () => {
    for (const on of channels) {
      for (const status of statuses) {
        expect(nextStatus(on, 'received', status)).toEqual({ status: 'received', applied: false });
        expect(nextStatus(on, status, 'received')).toEqual({ status, applied: false });
      }
    }
  });
});

test('failed and undelivered, and no others, are failures', () => {
  expect(statuses.filter(isFailure)).toEqual(['undelivered', 'failed']);
});

test('of an attempt that a retry replaced, only proof of arrival counts', () => {
  expect(statuses.filter(lateAttemptMayApply)).toEqual(['delivered', 'read']);
});
