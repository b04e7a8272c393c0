import { vi } from 'vitest';

/**
 * What must come true, looked at until it does. Long, for it is no measure of speed: on a machine that is busy
 * elsewhere a moment can be seconds.
 */
export function eventually<T>(check: () => T | Promise<T>, timeoutMs = 20_000): Promise<T> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 25 });
}
