import type { Carrier, Carriers } from './channels/index.ts';
import type { Clock } from './core/clock.ts';
import type { Db } from './core/db/index.ts';
import type { JobQueue } from './core/queue/index.ts';
import type { Secrets } from './core/secrets.ts';
import { createMailCarriers } from './mail/index.ts';
import { createSimulator } from './simulator/index.ts';
import { createTwilio } from './twilio/index.ts';

/**
 * Every carrier that this process can speak with.
 *
 * @param parts.apiUrl where carriers reach the API: the public URL with the base path
 * @param parts.simulator what the simulated one works with; null where it is off
 */
export function allCarriers({
  db,
  clock,
  secrets,
  apiUrl,
  simulator,
}: {
  db: Db;
  clock: Clock;
  secrets: Secrets;
  apiUrl: string;
  simulator: { queue: JobQueue } | null;
}): Carriers {
  const carriers: Carrier[] = [
    createTwilio({ db, clock, apiUrl }),
    ...createMailCarriers({ clock, secrets, apiUrl }),
  ];
  if (simulator) carriers.push(createSimulator({ db, clock, ...simulator }));
  return new Map(carriers.map((carrier) => [carrier.provider, carrier]));
}
