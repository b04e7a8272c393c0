export { businessFor, locationMustExist } from './access.ts';
export { type OnboardingPlan, writeBusiness } from './onboard.ts';
export { type Asked, askCarriers, onboardingJobs, onboardQueue } from './onboarding-jobs.ts';
export { type AccountKey, pauseAccounts, pausedAmong, resumeAccount } from './paused-accounts.ts';
export {
  accountOf,
  type FoundAccount,
  findProviderAccounts,
  type Provider,
  type ProviderCredentials,
  readProviderAccount,
} from './provider-accounts.ts';
export { businessRoutes } from './routes.ts';
