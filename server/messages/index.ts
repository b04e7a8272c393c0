export { addNote } from './add-note.ts';
export { type CarrierEvent, type CarrierEvents, createCarrierEvents } from './carrier-events.ts';
export { deliveryJobs } from './deliver.ts';
export type { Draft, Written } from './draft.ts';
export { createIntake, type Intake } from './intake.ts';
export { sendMessageQueue, settleAttemptQueue } from './queues.ts';
export { applyReports } from './report.ts';
export { messageRoutes } from './routes.ts';
export { writeMessages } from './write-messages.ts';
