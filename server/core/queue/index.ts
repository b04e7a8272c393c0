export { mostJobsCounted, type QueueDepth } from './depth.ts';
export {
  createJobQueue,
  type Job,
  type JobHandler,
  type JobQueue,
  type NewJob,
  type QueueDefinition,
} from './queue.ts';
