/**
 * The same value with every text in it such that Postgres can keep it: without NUL, and with each half
 * of a surrogate pair replaced by U+FFFD (22P05, 22P02). For what others sent us and will not send
 * otherwise; a caller of our API is told instead (see `refuseUnstorable`).
 */
export function storable<T>(value: T): T {
  if (typeof value === 'string') return value.replaceAll('\0', '').toWellFormed() as T;
  if (Array.isArray(value)) return value.map(storable) as T;
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [storable(name), storable(part)]),
  ) as T;
}
