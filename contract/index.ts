/** The whole API as rows. A tag's operations stand in its file; this list is all there is. */
import * as authentication from './authentication.ts';
import * as business from './business.ts';
import * as clientImports from './client-imports.ts';
import * as clients from './clients.ts';
import * as conversations from './conversations.ts';
import * as health from './health.ts';
import * as identity from './identity.ts';
import type { Operation } from './operation.ts';
import * as session from './session.ts';
import * as simulator from './simulator.ts';
import * as sms from './sms.ts';

export const contract = {
  getHealth: health.getHealth,
  checkDbConnection: health.checkDbConnection,
  onboardBusiness: business.onboardBusiness,
  getOnboarding: business.getOnboarding,
  generateAuthToken: authentication.generateAuthToken,
  expireSession: session.expireSession,
  queueSms: sms.queueSms,
  recordSms: sms.recordSms,
  updateSmsStatus: sms.updateSmsStatus,
  listConversations: conversations.listConversations,
  createConversation: conversations.createConversation,
  listMessages: conversations.listMessages,
  addNote: conversations.addNote,
  listClients: clients.listClients,
  getClient: clients.getClient,
  upsertClient: clients.upsertClient,
  importClients: clientImports.importClients,
  listClientImports: clientImports.listClientImports,
  getClientImport: clientImports.getClientImport,
  listClientImportErrors: clientImports.listClientImportErrors,
  mergeClient: identity.mergeClient,
  exportClient: identity.exportClient,
  eraseClient: identity.eraseClient,
  confirmIdentity: identity.confirmIdentity,
  simulateInbound: simulator.simulateInbound,
} as const satisfies Record<string, Operation>;

export type Contract = typeof contract;
export type OperationId = keyof Contract;

/** What each tag is about, in the order of the reference page. */
export const tags: Record<string, string> = {
  health: 'Is it up?',
  business: 'Bring a business in.',
  authentication: 'Sessions for staff.',
  session: 'End them.',
  sms: 'Texts: send, record, update.',
  businesses: 'Conversations, and what staff do in them.',
  'business-clients': 'The people: find them, bring them in, merge, export and erase them.',
  simulator: 'A carrier to try everything with, no account needed.',
};

export { ClientImport, ClientImportReport } from './client-imports.ts';
export { clientFields } from './clients.ts';
export * from './errors.ts';
export * from './operation.ts';
export * from './shapes.ts';
