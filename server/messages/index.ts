export { type CarrierEvent, type CarrierEvents, createCarrierEvents } from './carrier-events.ts';
export { deliveryJobs } from './deliver.ts';
export type { Draft, Written } from './draft.ts';
export { createIntake, type Intake } from './intake.ts';
export { presentMessage } from './present.ts';
export type { MessageRow } from './queries.ts';
export { sendMessageQueue, settleAttemptQueue } from './queues.ts';
export { messageRoutes } from './routes.ts';
export { writeTimeline } from './timeline.ts';
