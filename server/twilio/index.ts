export { createTwilio } from './carrier.ts';
export { newExchange, type TwilioCredentials, twilioClient } from './client.ts';
export { twilioRoutes } from './routes.ts';
export { tryAgain } from './urls.ts';
export { createTwilioVerify, readTwilioForm, type TwilioForm } from './verify.ts';
export { twilioSources } from './webhooks.ts';
