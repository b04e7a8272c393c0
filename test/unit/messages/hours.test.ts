import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hoursVerdict } from '../../../server/messages/hours.ts';

const marketing = (at: string, timeZone: string) =>
  hoursVerdict({ category: 'marketing', at: new Date(at), timeZone });

test('marketing goes from 08:00 until 21:00 at the client', () => {
  const zone = 'America/New_York';
  expect(marketing('2026-03-10T15:00:00Z', zone)).toMatchObject({ allowed: true, localTime: '11:00' });
  expect(marketing('2026-03-11T00:59:59Z', zone)).toMatchObject({ allowed: true, localTime: '20:59' });
  expect(marketing('2026-03-11T01:00:00Z', zone)).toMatchObject({
    allowed: false,
    localTime: '21:00',
    nextAllowedAt: new Date('2026-03-11T12:00:00Z'),
  });
  expect(marketing('2026-03-11T11:59:59.999Z', zone).allowed).toBe(false);
  expect(marketing('2026-03-11T12:00:00Z', zone).allowed).toBe(true);
});

test('a transactional message goes at any time', () => {
  const at = new Date('2026-03-11T06:00:00Z');
  expect(hoursVerdict({ category: 'transactional', at, timeZone: 'America/New_York' })).toMatchObject({
    applies: false,
    allowed: true,
    nextAllowedAt: at,
  });
});

test('the morning is right when the clocks change that night', () => {
  // Forward on 8 March 2026, back on 1 November 2026.
  expect(marketing('2026-03-08T03:00:00Z', 'America/New_York').nextAllowedAt).toEqual(
    new Date('2026-03-08T12:00:00Z'),
  );
  expect(marketing('2026-11-01T02:00:00Z', 'America/New_York').nextAllowedAt).toEqual(
    new Date('2026-11-01T13:00:00Z'),
  );
  // Samoa left out 30 December 2011.
  expect(marketing('2011-12-30T09:30:00Z', 'Pacific/Apia').nextAllowedAt).toEqual(
    new Date('2011-12-30T18:00:00Z'),
  );
});

test('a time zone that is not known counts as UTC', () => {
  expect(marketing('2026-03-10T15:00:00Z', 'Mars/Olympus')).toMatchObject({ localTime: '15:00' });
});

const zones = fc.constantFrom(
  ...Intl.supportedValuesOf('timeZone').filter((_, i) => i % 7 === 0),
  'Asia/Kathmandu',
  'Australia/Lord_Howe',
  'America/St_Johns',
);
const moments = fc.date({
  min: new Date('2020-01-01T00:00:00Z'),
  max: new Date('2035-01-01T00:00:00Z'),
  noInvalidDate: true,
});

test('the next allowed moment is allowed, is not before, and nothing before it is allowed', () => {
  fc.assert(
    fc.property(zones, moments, (timeZone, at) => {
      const verdict = hoursVerdict({ category: 'marketing', timeZone, at });
      const next = verdict.nextAllowedAt;
      const allowedAt = (ms: number) =>
        hoursVerdict({ category: 'marketing', timeZone, at: new Date(ms) }).allowed;
      expect(next.getTime()).toBeGreaterThanOrEqual(at.getTime());
      expect(allowedAt(next.getTime())).toBe(true);
      expect(verdict.allowed).toBe(next.getTime() === at.getTime());
      for (let ms = at.getTime(); ms < next.getTime(); ms += 900_000) expect(allowedAt(ms)).toBe(false);
      if (!verdict.allowed) expect(allowedAt(next.getTime() - 1)).toBe(false);
    }),
  );
});
