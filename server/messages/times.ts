/** A time of a request that its schema has let through: RFC 3339, within the years that can be kept. */
export function timeOf(text: string): Date;
export function timeOf(text: string | undefined): Date | undefined;
export function timeOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
