export { addNote } from './add-note.ts';
export { attachmentRoutes } from './attachment-routes.ts';
export type { Applied, CarrierEvent, InboundMail } from './carrier-event.ts';
export { type CarrierEvents, createCarrierEvents } from './carrier-events.ts';
export { deliveryJobs } from './deliver.ts';
export type { Draft, Written } from './draft.ts';
export { emailRoutes } from './email-routes.ts';
export {
  contentGone,
  eraseCarrierEvents,
  forgetBeside,
  forgetTold,
  forgetWordsAndFiles,
  hasContent,
  onlyHarmless,
} from './forget-content.ts';
export { hoursVerdict, localTime } from './hours.ts';
export { createIntake, type Intake } from './intake.ts';
export { mediaJobs } from './media.ts';
export { messageActRoutes } from './message-routes.ts';
export type { CallStart, NotedCall } from './note-call.ts';
export { pausedAccountJobs } from './paused-accounts.ts';
export { presentMessage } from './present.ts';
export { type MessageOfEvent, type MessageRow, messagesById, messagesOfEvents } from './queries.ts';
export {
  fetchMediaQueue,
  resumeAccountQueue,
  sendMessageQueue,
  settleAttemptQueue,
} from './queues.ts';
export { applyReports } from './report.ts';
export { messageRoutes } from './routes.ts';
export { searchMessages } from './search-messages.ts';
export { readSearch } from './search-query.ts';
export { searchRoutes } from './search-routes.ts';
export { writeTimeline } from './timeline.ts';
export { unsubscribe } from './unsubscribe.ts';
export { tsvectorOf } from './words.ts';
export { writeMessages } from './write-messages.ts';
