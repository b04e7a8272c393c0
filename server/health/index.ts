export { createHeartbeat, type Heartbeat } from './heartbeat.ts';
export { healthRoutes } from './routes.ts';
