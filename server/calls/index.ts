export { callJobs, missedCallQueue, textWhenMissed } from './missed-call.ts';
export { callRoutes } from './routes.ts';
export { callSources } from './sources.ts';
