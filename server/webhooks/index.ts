export { visitSlowWebhookQueue, visitWebhookQueue } from './queues.ts';
export { webhookRoutes } from './routes.ts';
export { visitJobs } from './visit.ts';
export { createWebhooks, type WebhookOptions, type Webhooks } from './webhooks.ts';
