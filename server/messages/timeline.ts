import type { Tx } from '../core/db/index.ts';
import { newId } from '../core/ids.ts';

/** One thing that happened to a message: a decision, an attempt, what a carrier said. */
export interface TimelineEntry {
  businessId: number;
  messageId: string;
  kind: string;
  at: Date;
  data: Record<string, unknown>;
}

export async function writeTimeline(tx: Tx, entries: TimelineEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx
    .insertInto('message_timeline')
    .values(
      entries.map((entry) => ({
        business_id: entry.businessId,
        message_id: entry.messageId,
        entry_id: newId(),
        kind: entry.kind,
        at: entry.at,
        data: JSON.stringify(entry.data),
      })),
    )
    .execute();
}
