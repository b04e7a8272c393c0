export { createSimulator, simulatorCallbackQueue } from './carrier.ts';
export { simulatorJobs } from './jobs.ts';
export { simulatorRoutes } from './routes.ts';
