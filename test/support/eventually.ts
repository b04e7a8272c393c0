import { vi } from 'vitest';

/**
 * Resolves with what `check` gives once it throws no more. How long that takes is the machine's affair and no promise
 * of ours, so it may take as long as it likes; of what never comes, it throws what was missing.
 */
export function eventually<T>(check: () => T | Promise<T>, intervalMs = 50): Promise<T> {
  return vi.waitFor(check, { timeout: 60_000, interval: intervalMs });
}
