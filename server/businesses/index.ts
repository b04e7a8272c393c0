export { businessFor, locationMustExist } from './access.ts';
export { type OnboardingPlan, writeBusiness } from './onboard.ts';
export { onboardingJobs, onboardQueue } from './onboarding-jobs.ts';
export { businessRoutes } from './routes.ts';
