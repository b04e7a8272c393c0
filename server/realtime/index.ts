export { createEventStreams, type EventStreams, type StreamLimits } from './event-streams.ts';
export { presentEvents } from './feed.ts';
export { realtimeRoutes } from './routes.ts';
