export { conversationFor } from './access.ts';
export { conversationJobs } from './jobs.ts';
export {
  conversationOf,
  type LockedConversation,
  lockConversation,
  lockConversations,
  openConversations,
  saveConversations,
} from './open.ts';
export { presentConversation } from './present.ts';
export { wakeConversationQueue } from './queues.ts';
export { conversationRoutes } from './routes.ts';
export { type NewMessageFacts, noteMessage, reopen } from './rules.ts';
