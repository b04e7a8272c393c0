import { describe, expect, test } from 'vitest';
import { isOpen } from '../../../server/calls/opening.ts';

const zone = 'America/New_York';
const at = (iso: string) => new Date(iso);
const office = {
  hours: {
    sunday: [{ opens: '01:30', closes: '04:00' }],
    monday: [
      { opens: '09:00', closes: '12:00' },
      { opens: '13:00', closes: '24:00' },
    ],
    saturday: [{ opens: '22:00', closes: '02:00' }],
  },
  closed_on: ['2026-12-28'],
};
const open = (iso: string, settings: Parameters<typeof isOpen>[0] = office) =>
  isOpen(settings, zone, at(iso));

test('never set: always open, save on days that are named', () => {
  expect(isOpen({ hours: null, closed_on: [] }, zone, at('2026-03-10T03:00:00Z'))).toBe(true);
  // The 25th there, though UTC has the 26th already.
  expect(isOpen({ hours: null, closed_on: ['2026-12-25'] }, zone, at('2026-12-26T03:00:00Z'))).toBe(false);
  expect(isOpen({ hours: null, closed_on: ['2026-12-25'] }, zone, at('2026-12-26T05:00:00Z'))).toBe(true);
});

describe('by the clock at the location', () => {
  test.each([
    ['a minute before it opens', '2026-01-05T13:59:59Z', false],
    ['when it opens', '2026-01-05T14:00:00Z', true],
    ['in the break', '2026-01-05T17:00:00Z', false],
    ['until midnight', '2026-01-06T04:59:59Z', true],
    ['at midnight, on a day that has no hours', '2026-01-06T05:00:00Z', false],
    ['past midnight of what opened on Saturday', '2026-01-11T06:59:00Z', true],
    ['and no longer than it says', '2026-01-11T09:00:00Z', false],
    ['a closed day', '2026-12-28T15:00:00Z', false],
  ])('%s', (_, iso, is) => expect(open(iso)).toBe(is));

  test('in summer an hour earlier by UTC', () => {
    expect(open('2026-07-06T13:00:00Z')).toBe(true);
    expect(open('2026-07-06T12:59:00Z')).toBe(false);
  });

  test('the hour that comes twice is open twice, and the one that is left out never was', () => {
    // 1 November 2026, 01:45, in summer time and then again.
    expect([open('2026-11-01T05:45:00Z'), open('2026-11-01T06:45:00Z')]).toEqual([true, true]);
    // 8 March 2026: 01:59 is followed by 03:00.
    expect([open('2026-03-08T06:59:59Z'), open('2026-03-08T07:00:00Z')]).toEqual([true, true]);
    const atTwo = { hours: { sunday: [{ opens: '02:00', closes: '03:00' }] }, closed_on: [] };
    expect([open('2026-03-08T06:59:59Z', atTwo), open('2026-03-08T07:00:00Z', atTwo)]).toEqual([
      false,
      false,
    ]);
  });
});
