import type { VoiceSettings } from '../../contract/index.ts';
import { localTime } from '../messages/index.ts';

const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;
const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/**
 * Whether calls ring at that moment, by the clock on the wall there: so summer time needs no rule of its own. On
 * the night of the change an hour that comes twice is open twice, and one that is left out never was.
 */
export function isOpen(
  { hours, closed_on }: Pick<VoiceSettings, 'hours' | 'closed_on'>,
  timeZone: string,
  at: Date,
): boolean {
  const { year, month, day, hour, minute } = localTime(at, timeZone);
  const now = hour * 60 + minute;
  const today = new Date(Date.UTC(year, month - 1, day));
  const yesterday = new Date(today.getTime() - 86_400_000);
  const spansOf = (date: Date) =>
    closed_on.includes(date.toISOString().slice(0, 10)) ? [] : (hours?.[days[date.getUTCDay()]!] ?? []);
  if (hours === null) return !closed_on.includes(today.toISOString().slice(0, 10));
  return (
    spansOf(today).some(({ opens, closes }) => {
      const [from, until] = [minutesOf(opens), minutesOf(closes)];
      return now >= from && (until <= from || now < until);
    }) ||
    // What opened yesterday and closes after midnight.
    spansOf(yesterday).some(({ opens, closes }) => {
      const until = minutesOf(closes);
      return until <= minutesOf(opens) && now < until;
    })
  );
}
