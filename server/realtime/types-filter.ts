import { eventTypes } from '../core/events/index.ts';
import { invalid } from '../core/fault.ts';

/** Which types of events a reader wants. */
export interface TypesFilter {
  /** As a cursor is bound to it: sorted, each name once. */
  names: readonly string[];
  types: readonly string[];
  /** `message` of `message.*`: types that are still to come are among them. */
  families: readonly string[];
  has(type: string): boolean;
}

const familyOf = (type: string) => type.slice(0, type.indexOf('.'));
const families = new Set(eventTypes.map(familyOf));

/**
 * Reads `message.received,conversation.*`; null where all types are wanted.
 *
 * @throws 422 for a name that no event has: it would wait for ever, in silence
 */
export function readTypes(text: string | undefined): TypesFilter | null {
  if (text === undefined) return null;
  const names = [...new Set(text.split(',').map((name) => name.trim()))].sort();
  const types: string[] = [];
  const whole: string[] = [];
  for (const name of names) {
    if (eventTypes.includes(name as never)) types.push(name);
    else if (name.endsWith('.*') && families.has(name.slice(0, -2))) whole.push(name.slice(0, -2));
    else
      throw invalid(
        'types',
        `has ${JSON.stringify(name)}, which is no type of event; there are ${[...families].map((family) => `${family}.*`).join(', ')}, and single ones such as message.received`,
      );
  }
  const exact = new Set(types);
  const wide = new Set(whole);
  return { names, types, families: whole, has: (type) => exact.has(type) || wide.has(familyOf(type)) };
}
