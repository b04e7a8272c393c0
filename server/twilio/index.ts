export { newExchange, type TwilioCredentials, twilioClient } from './client.ts';
export { createTwilioVerify, readTwilioForm, type TwilioForm } from './verify.ts';
