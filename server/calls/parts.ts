import type { Db } from '../core/db/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { CarrierEvents, NotedCall } from '../messages/index.ts';

/** What taking a call needs. */
export interface CallParts {
  db: Db;
  secrets: Secrets;
  carrierEvents: CarrierEvents;
  /** Where carriers reach the API: the public URL with the base path. */
  apiUrl: string;
  /** Sees to the text for a call that was missed; does nothing for any other. */
  textWhenMissed(call: NotedCall, businessId: number, when: 'soon' | 'after_voicemail'): Promise<void>;
}
