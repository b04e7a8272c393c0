/** The typed client of Omega: `import { Omega } from 'omega/sdk'`. Nothing of the server or its schemas is in it. */
export { Omega, type OmegaOptions } from './client.ts';
export { type ClientErrorCode, OmegaError, unwrap } from './error.ts';
export type { ErrorCode, Event, EventStreamId, OperationId, Operations, Problem } from './operations.ts';
export type {
  CallId,
  CallOptions,
  DataOf,
  InputFor,
  ListId,
  Methods,
  Result,
  RowOf,
  StreamedEvent,
} from './types.ts';
export { verifyWebhook, WebhookError } from './webhook.ts';
