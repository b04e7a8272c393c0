export { conversationFor, lockConversationFor } from './access.ts';
export { type AmbiguousMessage, markAmbiguous } from './identity.ts';
export {
  conversationOf,
  type LockedConversation,
  lockConversations,
  openConversations,
  saveConversations,
} from './open.ts';
export { presentConversation } from './present.ts';
export { conversationRow, conversationsOfClient } from './queries.ts';
export { conversationRoutes } from './routes.ts';
export { type NewMessageFacts, noteMessage, reopen } from './rules.ts';
