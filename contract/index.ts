/** The whole API as rows. A tag's operations stand in its file; this list is all there is. */
import * as attachments from './attachments.ts';
import * as authentication from './authentication.ts';
import * as business from './business.ts';
import * as changes from './changes.ts';
import * as clientImports from './client-imports.ts';
import * as clients from './clients.ts';
import * as consents from './consents.ts';
import * as conversations from './conversations.ts';
import * as email from './email.ts';
import * as health from './health.ts';
import * as identity from './identity.ts';
import * as locations from './locations.ts';
import * as messageList from './message-list.ts';
import * as messageSearch from './message-search.ts';
import * as messageWaiting from './message-waiting.ts';
import * as messages from './messages.ts';
import type { Operation } from './operation.ts';
import * as receipts from './receipts.ts';
import * as retention from './retention.ts';
import * as senders from './senders.ts';
import * as session from './session.ts';
import * as simulator from './simulator.ts';
import * as sms from './sms.ts';
import * as staffs from './staffs.ts';
import * as twilio from './twilio.ts';
import * as unsubscribe from './unsubscribe.ts';
import * as voiceCalls from './voice-calls.ts';
import * as webhooks from './webhooks.ts';

export const contract = {
  getHealth: health.getHealth,
  checkDbConnection: health.checkDbConnection,
  getReadiness: health.getReadiness,
  getMetrics: health.getMetrics,
  onboardBusiness: business.onboardBusiness,
  getOnboarding: business.getOnboarding,
  generateAuthToken: authentication.generateAuthToken,
  expireSession: session.expireSession,
  queueSms: sms.queueSms,
  recordSms: sms.recordSms,
  updateSmsStatus: sms.updateSmsStatus,
  queueEmail: email.queueEmail,
  recordEmail: email.recordEmail,
  updateEmailStatus: email.updateEmailStatus,
  downloadAttachment: email.downloadAttachment,
  getAttachmentLink: attachments.getAttachmentLink,
  downloadLinkedAttachment: attachments.downloadLinkedAttachment,
  receiveEmailWebhook: email.receiveEmailWebhook,
  listEmailWebhooks: email.listEmailWebhooks,
  showUnsubscribe: unsubscribe.showUnsubscribe,
  unsubscribe: unsubscribe.unsubscribe,
  listConversations: conversations.listConversations,
  createConversation: conversations.createConversation,
  listMessages: conversations.listMessages,
  addNote: conversations.addNote,
  getConversationFilters: conversations.getConversationFilters,
  assignConversation: conversations.assignConversation,
  setConversationStatus: conversations.setConversationStatus,
  markMessagesRead: conversations.markMessagesRead,
  listLocations: locations.listLocations,
  listSenders: senders.listSenders,
  upsertSender: senders.upsertSender,
  removeSender: senders.removeSender,
  getRetention: retention.getRetention,
  setRetention: retention.setRetention,
  listStaffs: staffs.listStaffs,
  getStaff: staffs.getStaff,
  listConsents: consents.listConsents,
  recordConsent: consents.recordConsent,
  listBusinessMessages: messageList.listBusinessMessages,
  recordMessages: messages.recordMessages,
  retryMessages: messages.retryMessages,
  retryMessage: messages.retryMessage,
  getMessagesByRequest: messages.getMessagesByRequest,
  getBusinessMessagesByRequest: messages.getBusinessMessagesByRequest,
  searchMessages: messageSearch.searchMessages,
  searchConversationMessages: messageSearch.searchConversationMessages,
  searchBusiness: messageSearch.searchBusiness,
  getMessageTimeline: messages.getMessageTimeline,
  preflightMessage: messageWaiting.preflightMessage,
  cancelMessage: messageWaiting.cancelMessage,
  rescheduleMessage: messageWaiting.rescheduleMessage,
  updateExternalRef: messageWaiting.updateExternalRef,
  listClients: clients.listClients,
  getClient: clients.getClient,
  upsertClient: clients.upsertClient,
  importClients: clientImports.importClients,
  listClientImports: clientImports.listClientImports,
  getClientImport: clientImports.getClientImport,
  listClientImportErrors: clientImports.listClientImportErrors,
  mergeClient: identity.mergeClient,
  unmergeClient: identity.unmergeClient,
  moveMessages: identity.moveMessages,
  exportClient: identity.exportClient,
  eraseClient: identity.eraseClient,
  confirmIdentity: identity.confirmIdentity,
  getVoiceToken: voiceCalls.getVoiceToken,
  handleTwimlCall: voiceCalls.handleTwimlCall,
  handleDialResult: voiceCalls.handleDialResult,
  handleVoicemail: voiceCalls.handleVoicemail,
  handleRecordingNotice: voiceCalls.handleRecordingNotice,
  updateTwilioVoiceStatus: voiceCalls.updateTwilioVoiceStatus,
  updateTwilioVoiceRecording: voiceCalls.updateTwilioVoiceRecording,
  getVoiceSettings: voiceCalls.getVoiceSettings,
  setVoiceSettings: voiceCalls.setVoiceSettings,
  receiveTwilioSms: twilio.receiveTwilioSms,
  updateTwilioSmsStatus: twilio.updateTwilioSmsStatus,
  simulateInbound: simulator.simulateInbound,
  listChanges: changes.listChanges,
  streamEvents: changes.streamEvents,
  listWebhookReceipts: receipts.listWebhookReceipts,
  getWebhookReceipt: receipts.getWebhookReceipt,
  replayWebhookReceipt: receipts.replayWebhookReceipt,
  createWebhook: webhooks.createWebhook,
  listWebhooks: webhooks.listWebhooks,
  getWebhook: webhooks.getWebhook,
  updateWebhook: webhooks.updateWebhook,
  deleteWebhook: webhooks.deleteWebhook,
  rotateWebhookSecret: webhooks.rotateWebhookSecret,
  testWebhook: webhooks.testWebhook,
  listWebhookDeliveries: webhooks.listWebhookDeliveries,
  getWebhookDelivery: webhooks.getWebhookDelivery,
  retryWebhookDelivery: webhooks.retryWebhookDelivery,
  replayWebhookDeliveries: webhooks.replayWebhookDeliveries,
} as const satisfies Record<string, Operation>;

export type Contract = typeof contract;
export type OperationId = keyof Contract;
/** Those for callers with credentials, or for anyone: not what carriers post. */
export type CallableId = {
  [Id in OperationId]: undefined extends Contract[Id]['webhook'] ? Id : never;
}[OperationId];

/** What each tag is about, in the order of the reference page. */
export const tags: Record<string, string> = {
  health: 'Is it up?',
  business: 'Bring a business in.',
  authentication: 'Sessions for staff.',
  session: 'End them.',
  sms: 'Texts: send, record, update.',
  email: 'Mail: send, record, update; its files.',
  businesses: 'Conversations, and what staff do in them; locations, senders, retention.',
  'business-staffs': 'The people who answer.',
  consents: 'What clients allowed and refused, with the evidence.',
  messages: 'Messages of any channel: record, retry, find, look into, move and cancel.',
  'voice-calls': 'Calls from the browser and from clients; how each location takes them.',
  'business-clients': 'The people: find them, bring them in, merge and tell apart, export and erase them.',
  events: 'What happened, in order: as a list that goes on, and live.',
  webhooks: 'Events posted to your systems: where to, what became of each, and again.',
  'webhook-receipts': 'What carriers posted, as it came: look into it, and replay what was refused.',
  twilio: 'What Twilio posts to us.',
  simulator: 'A carrier to try everything with, no account needed.',
};

export { ClientImport, ClientImportReport } from './client-imports.ts';
export { clientFields } from './clients.ts';
export * from './errors.ts';
export { Event, eventApiVersion } from './events.ts';
export * from './operation.ts';
export type { ReceiptState } from './receipts.ts';
export * from './shapes.ts';
export type { VoiceSettings } from './voice-calls.ts';
export {
  mostReplayed,
  type Webhook,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookDeliveryState,
  type WebhookError,
} from './webhooks.ts';
