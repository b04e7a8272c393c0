export { createEventSignal, type EventSignal } from './event-signal.ts';
export { eventRetentionDays, forgetOldEvents } from './forget.ts';
export {
  type EventType,
  eventTypes,
  type NewEvent,
  onEvents,
  type RecordedEvent,
  recordEvents,
} from './record.ts';
