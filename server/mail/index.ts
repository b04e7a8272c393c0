export { createMailCarriers } from './outbound/carriers.ts';
export { smtpProviders } from './outbound/provider-headers.ts';
export { unsubscribeRoutes } from './outbound/unsubscribe-routes.ts';
