export {
  createJobQueue,
  type Job,
  type JobHandler,
  type JobQueue,
  type NewJob,
  type QueueDefinition,
  type QueueDepth,
} from './queue.ts';
