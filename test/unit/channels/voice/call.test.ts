import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  laterWord,
  learn,
  nothingKnown,
  outcomeOf,
  presentCall,
} from '../../../../server/channels/voice/call.ts';
import type { CallFacts } from '../../../../server/core/db/index.ts';

const time = fc.integer({ min: 0, max: 5 }).map((minute) => `2026-03-10T15:0${minute}:00.000Z`);
const told: fc.Arbitrary<Partial<CallFacts>> = fc.record(
  {
    answered_at: time,
    answered_by: fc.constantFrom(12345, 12346),
    ended_at: time,
    ending: fc.constantFrom('busy', 'no_answer', 'canceled', 'failed'),
    duration_s: fc.integer({ min: 0, max: 100 }),
    recording: fc.record({
      kind: fc.constantFrom('conversation', 'voicemail'),
      sid: fc.constantFrom('RE1', 'RE2', 'RE3'),
      url: fc.constant('https://api.twilio.com/RE'),
      duration_s: fc.option(fc.integer({ min: 0, max: 100 })),
    }),
  },
  { requiredKeys: [] },
);

const learnAll = (list: Partial<CallFacts>[]) => list.reduce<CallFacts>(learn, nothingKnown);
/** One recording has one kind and one URL, whoever tells of it. */
const sameRecordings = (list: Partial<CallFacts>[]) =>
  list.map((one) =>
    one.recording ? { ...one, recording: { ...one.recording, kind: 'voicemail' as const } } : one,
  );

test('what is known of a call does not depend on the order in which it was told, or how often', () => {
  fc.assert(
    fc.property(
      fc.array(told, { maxLength: 6 }).map(sameRecordings),
      fc.infiniteStream(fc.nat()),
      (list, draws) => {
        const shuffled = [...list, ...list]
          .map((one) => ({ one, at: draws.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ one }) => one);
        expect(learnAll(shuffled)).toEqual(learnAll(list));
      },
    ),
  );
});

test('an answer is never taken back, and a call that ended stays ended', () => {
  fc.assert(
    fc.property(
      told,
      told,
      fc.constantFrom('inbound' as const, 'outbound' as const),
      (one, two, direction) => {
        const [before, after] = [learnAll([one]), learnAll([one, two])].map((call) =>
          outcomeOf(direction, call),
        );
        if (before === 'completed') expect(after).toBe('completed');
        if (before === 'in_progress') expect(['in_progress', 'completed']).toContain(after);
        if (before !== 'ringing') expect(after).not.toBe('ringing');
      },
    ),
  );
});

describe('what became of a call', () => {
  const at = '2026-03-10T15:00:00.000Z';
  const recording = {
    kind: 'voicemail',
    sid: 'RE1',
    url: 'https://api.twilio.com/RE1',
    duration_s: 4,
  } as const;
  test.each([
    ['inbound', {}, 'ringing'],
    ['inbound', { ended_at: at }, 'missed'],
    ['inbound', { recording }, 'voicemail'],
    ['inbound', { answered_at: at, recording }, 'in_progress'],
    ['inbound', { answered_at: at, ended_at: at }, 'completed'],
    ['outbound', { ended_at: at }, 'no_answer'],
    ['outbound', { ending: 'busy', ended_at: at }, 'busy'],
    ['outbound', { ending: 'canceled', answered_at: at, ended_at: at }, 'completed'],
  ] as const)('%s %o is %s', (direction, facts, outcome) => {
    expect(presentCall(direction, learnAll([facts])).outcome).toBe(outcome);
  });

  test('nobody sees where the carrier keeps its recording', () => {
    expect(presentCall('inbound', learnAll([{ recording }])).recording).toEqual({
      kind: 'voicemail',
      duration_s: 4,
    });
  });
});

test('of two words of the carrier’s the one that says more counts, and a word that is not known gives way', () => {
  expect(laterWord('completed', 'ringing')).toBe('completed');
  expect(laterWord('ringing', 'busy')).toBe('busy');
  expect(laterWord(null, 'queued')).toBe('queued');
  expect(laterWord('whistling', 'ringing')).toBe('ringing');
});
