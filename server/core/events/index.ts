export { createEventSignal, type EventSignal } from './event-signal.ts';
export { type EventType, eventTypes, type NewEvent, onEvents, recordEvents } from './record.ts';
