export {
  createJobQueue,
  type Job,
  type JobHandler,
  type JobQueue,
  mostJobsCounted,
  type NewJob,
  type QueueDefinition,
  type QueueDepth,
} from './queue.ts';
