export { conversationFor, conversationNow, lockConversationFor } from './access.ts';
export { type AmbiguousMessage, markAmbiguous } from './identity.ts';
export { conversationJobs } from './jobs.ts';
export {
  conversationOf,
  type LockedConversation,
  lockConversations,
  lockConversationsOf,
  openConversations,
  saveConversations,
} from './open.ts';
export { presentConversation } from './present.ts';
export { conversationRow, conversationsOfClient } from './queries.ts';
export { wakeConversationQueue } from './queues.ts';
export { conversationRoutes } from './routes.ts';
export { close, isBehind, type NewMessageFacts, noteMessage, reopen } from './rules.ts';
export { waitAnew } from './waiting.ts';
