import type { Carrier, Carriers } from './channels/index.ts';
import type { Clock } from './core/clock.ts';
import type { Db } from './core/db/index.ts';
import type { JobQueue } from './core/queue/index.ts';
import type { Secrets } from './core/secrets.ts';
import { createMailCarriers } from './mail/index.ts';
import { createSimulator } from './simulator/index.ts';
import { createTwilio } from './twilio/index.ts';

export interface CarrierParts {
  db: Db;
  queue: JobQueue;
  clock: Clock;
  secrets: Secrets;
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
  /** Whether the carrier that needs no account is on. */
  simulator: boolean;
}

/** Every carrier that this process can speak with, by its name. Whoever asks for them closes them. */
export function allCarriers(parts: CarrierParts): Carriers {
  const carriers: Carrier[] = [createTwilio(parts), ...createMailCarriers(parts)];
  if (parts.simulator) carriers.unshift(createSimulator(parts));
  return new Map(carriers.map((carrier) => [carrier.provider, carrier]));
}
