export { addressKindOf } from './address-kind.ts';
export {
  type ConsentEntry,
  type ConsentVerdict,
  consentHash,
  consentVerdicts,
  writeConsents,
} from './consent.ts';
export {
  erasedClient,
  type ResolvedClient,
  resolveClients,
  unknownClient,
  upsertStub,
  type WantedClient,
} from './resolve.ts';
export type { SharedAddress } from './shared.ts';
