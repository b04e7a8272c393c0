export { businessFor, locationMustExist } from './access.ts';
export { onboardingJobs, onboardQueue } from './onboarding-jobs.ts';
export { businessRoutes } from './routes.ts';
