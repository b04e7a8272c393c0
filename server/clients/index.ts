export { type ClientRecord, clientFor } from './access.ts';
export { addressKindOf } from './address-kind.ts';
export {
  type ConsentEntry,
  type ConsentVerdict,
  consentHash,
  consentVerdicts,
  isConsentHash,
  writeConsents,
} from './consent.ts';
export { consentRoutes } from './consent-routes.ts';
export { type FoundClients, findClients } from './list.ts';
export { clientProfile } from './profile.ts';
export {
  erasedClient,
  type ResolvedClient,
  resolveClients,
  unknownClient,
  upsertStub,
  type WantedClient,
} from './resolve.ts';
export { clientRoutes } from './routes.ts';
export { lexemesOf, sortNameOf, wordsSql } from './search-words.ts';
export type { SharedAddress } from './shared.ts';
export { forgetAddresses } from './write-addresses.ts';
