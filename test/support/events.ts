import { type Db, inTransaction } from '../../server/core/db/index.ts';
import { type EventType, type RecordedEvent, recordEvents } from '../../server/core/events/index.ts';

/** Writes events of a business as its acts do, in one transaction. */
export function writeEvents(
  db: Db,
  businessId: number,
  types: EventType[],
  more: { at?: Date; data?: Record<string, unknown> } = {},
): Promise<RecordedEvent[]> {
  const by = { actor: { type: 'system' as const, id: null }, origin: {} };
  const data = more.data ?? {};
  return inTransaction(db, (tx) =>
    recordEvents(
      tx,
      more.at ?? new Date(),
      types.map((type) => ({ businessId, type, by, data })),
    ),
  );
}

/** So many of one type. */
export const many = (count: number, type: EventType): EventType[] =>
  Array.from({ length: count }, () => type);
