export { type ConsentEntry, type ConsentVerdict, consentVerdicts, writeConsents } from './consent.ts';
export { consentRoutes } from './consent-routes.ts';
export { type ResolvedClient, resolveClients, upsertStub, type WantedClient } from './resolve.ts';
