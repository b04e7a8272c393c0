import type { Contract } from '../contract/index.ts';
import type { OperationId, StreamId } from './operations.ts';

/**
 * Method and path of each operation: all that a client must know at run time, so that the schemas
 * stay out of a browser's bundle. The type makes each line equal to the contract's row, and a
 * missing one an error.
 */
export const routes: { readonly [Id in OperationId]: `${Contract[Id]['method']} ${Contract[Id]['path']}` } = {
  getHealth: 'GET /health',
  checkDbConnection: 'GET /health/db',
  getReadiness: 'GET /health/ready',
  getMetrics: 'GET /metrics',
  onboardBusiness: 'POST /business/onboard',
  getOnboarding: 'GET /business/{business_id}/onboarding',
  generateAuthToken: 'POST /authentication/token',
  expireSession: 'POST /session/expire',
  queueSms: 'POST /sms/queue',
  recordSms: 'POST /sms/record',
  updateSmsStatus: 'POST /sms/status',
  queueEmail: 'POST /email/queue',
  recordEmail: 'POST /email/record',
  updateEmailStatus: 'POST /email/status',
  getAttachmentLink: 'GET /businesses/{business_id}/messages/{message_id}/attachments/{attachment_id}/link',
  downloadLinkedAttachment: 'GET /attachments/{link}',
  downloadAttachment: 'GET /businesses/{business_id}/messages/{message_id}/attachments/{attachment_id}',
  listEmailWebhooks: 'GET /businesses/{business_id}/email/webhooks',
  showUnsubscribe: 'GET /email/unsubscribe/{unsubscribe_token}',
  listConversations: 'GET /businesses/{business_id}/conversations',
  createConversation: 'POST /businesses/{business_id}/clients/{client_id}/conversations',
  listMessages: 'GET /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages',
  addNote: 'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/note',
  getConversationFilters: 'GET /businesses/{business_id}/conversations/filters',
  assignConversation:
    'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/assign',
  setConversationStatus:
    'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/status',
  markMessagesRead:
    'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/read',
  listLocations: 'GET /businesses/{business_id}/locations',
  listSenders: 'GET /businesses/{business_id}/senders',
  upsertSender: 'PUT /businesses/{business_id}/senders',
  removeSender: 'DELETE /businesses/{business_id}/senders/{sender_id}',
  getRetention: 'GET /businesses/{business_id}/retention',
  setRetention: 'PUT /businesses/{business_id}/retention',
  listStaffs: 'GET /businesses/{business_id}/staffs',
  getStaff: 'GET /businesses/{business_id}/staffs/{staff_id}',
  listBusinessMessages: 'GET /businesses/{business_id}/messages',
  recordMessages: 'POST /messages',
  retryMessages: 'POST /messages/retry',
  retryMessage: 'POST /messages/{message_id}/retry',
  getMessagesByRequest: 'GET /messages/requests/{request_id}',
  getBusinessMessagesByRequest: 'GET /businesses/{business_id}/messages/requests/{request_id}',
  searchMessages: 'GET /messages/search',
  searchConversationMessages:
    'GET /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/search',
  searchBusiness: 'GET /businesses/{business_id}/search',
  getMessageTimeline: 'GET /messages/{message_id}/timeline',
  preflightMessage: 'POST /messages/preflight',
  cancelMessage: 'POST /messages/{message_id}/cancel',
  rescheduleMessage: 'POST /messages/{message_id}/reschedule',
  updateExternalRef: 'POST /external-refs/{type}/{id}',
  listConsents: 'GET /businesses/{business_id}/consents',
  recordConsent: 'POST /businesses/{business_id}/consents',
  listClients: 'GET /businesses/{business_id}/clients',
  getClient: 'GET /businesses/{business_id}/clients/{client_id}',
  upsertClient: 'PUT /businesses/{business_id}/clients/{client_id}',
  importClients: 'POST /businesses/{business_id}/clients/import',
  listClientImports: 'GET /businesses/{business_id}/clients/imports',
  getClientImport: 'GET /businesses/{business_id}/clients/imports/{import_id}',
  listClientImportErrors: 'GET /businesses/{business_id}/clients/imports/{import_id}/errors',
  mergeClient: 'POST /businesses/{business_id}/clients/{client_id}/merge',
  unmergeClient: 'POST /businesses/{business_id}/clients/{client_id}/unmerge',
  moveMessages:
    'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/messages/move',
  exportClient: 'GET /businesses/{business_id}/clients/{client_id}/export',
  eraseClient: 'DELETE /businesses/{business_id}/clients/{client_id}',
  confirmIdentity:
    'POST /businesses/{business_id}/clients/{client_id}/conversations/{conversation_id}/identity',
  getVoiceToken: 'GET /voice-calls/token',
  getVoiceSettings: 'GET /businesses/{business_id}/locations/{location_id}/voice',
  setVoiceSettings: 'PUT /businesses/{business_id}/locations/{location_id}/voice',
  simulateInbound: 'POST /simulator/inbound',
  listChanges: 'GET /businesses/{business_id}/changes',
  streamEvents: 'GET /businesses/{business_id}/events',
  listWebhookReceipts: 'GET /webhook-receipts',
  getWebhookReceipt: 'GET /webhook-receipts/{receipt_id}',
  replayWebhookReceipt: 'POST /webhook-receipts/{receipt_id}/replay',
  createWebhook: 'POST /businesses/{business_id}/webhooks',
  listWebhooks: 'GET /businesses/{business_id}/webhooks',
  getWebhook: 'GET /businesses/{business_id}/webhooks/{webhook_id}',
  updateWebhook: 'PATCH /businesses/{business_id}/webhooks/{webhook_id}',
  deleteWebhook: 'DELETE /businesses/{business_id}/webhooks/{webhook_id}',
  rotateWebhookSecret: 'POST /businesses/{business_id}/webhooks/{webhook_id}/rotate',
  testWebhook: 'POST /businesses/{business_id}/webhooks/{webhook_id}/test',
  listWebhookDeliveries: 'GET /businesses/{business_id}/webhooks/{webhook_id}/deliveries',
  getWebhookDelivery: 'GET /businesses/{business_id}/webhooks/{webhook_id}/deliveries/{delivery_id}',
  retryWebhookDelivery: 'POST /businesses/{business_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/retry',
  replayWebhookDeliveries: 'POST /businesses/{business_id}/webhooks/{webhook_id}/replay',
};

/** The operations whose body is a stream of their own kind in place of JSON. */
export const streamed: { readonly [Id in StreamId]: true } = { importClients: true };

/** The operations whose `request_id` asks for the messages of another request: it is not their own. */
export const requestIdIsFilter: { readonly [Id in OperationId]?: true } = { retryMessages: true };
