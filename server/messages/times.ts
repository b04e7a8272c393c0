import { invalid } from '../core/fault.ts';

/**
 * A time of a request. RFC 3339 allows what the calendar of a computer does not have (a leap second,
 * the year 0), and what no message of ours can mean.
 *
 * @throws 422 naming the field
 */
export function timeOf(field: string, text: string): Date;
export function timeOf(field: string, text: string | undefined): Date | undefined;
export function timeOf(field: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  const year = time.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999))
    throw invalid(
      field,
      'must be a time between the years 1900 and 9999, without a leap second',
      'invalid_format',
    );
  return time;
}
