export { businessFor, locationMustExist } from './access.ts';
export { askCarriers, type CarrierCheck } from './ask-carriers.ts';
export { type OnboardingPlan, writeBusiness } from './onboard.ts';
export { onboardingJobs, onboardQueue } from './onboarding-jobs.ts';
export { type AccountKey, pauseAccounts, pausedAmong, resumeAccount } from './paused-accounts.ts';
export {
  accountNames,
  accountOf,
  type FoundAccount,
  findProviderAccounts,
  type Provider,
  type ProviderCredentials,
  readProviderAccount,
} from './provider-accounts.ts';
export { businessRoutes } from './routes.ts';
export { senderRoutes } from './sender-routes.ts';
