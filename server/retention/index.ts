export { purgeQueue, type Retention, retentionJobs, startDueRuns } from './jobs.ts';
export { retentionRoutes } from './routes.ts';
