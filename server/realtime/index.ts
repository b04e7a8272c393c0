export { presentEvents, readFeed } from './feed.ts';
