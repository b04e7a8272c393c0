export { createEventSignal, type EventSignal } from './event-signal.ts';
export { type EventType, eventTypes, type NewEvent, recordEvents } from './record.ts';
