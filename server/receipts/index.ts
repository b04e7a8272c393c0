export { answerWebhook } from './answer.ts';
export { createReceipts, type Receipts, type Received } from './receipts.ts';
export { receiptRoutes } from './routes.ts';
export type {
  AppliedContext,
  AppliedWebhook,
  Belief,
  WebhookAnswer,
  WebhookSource,
} from './source.ts';
export { forgetReceiptsNaming, forgetReceiptsOf } from './store.ts';
