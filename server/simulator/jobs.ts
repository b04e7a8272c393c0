import type { JobHandler } from '../core/queue/index.ts';
import type { CarrierEvents } from '../messages/index.ts';
import { type OwedCallback, simulatorCallbackQueue } from './carrier.ts';

/** Calls Omega back as a carrier does, through the code that real callbacks come through. */
export function simulatorJobs(events: CarrierEvents): JobHandler<never>[] {
  const callBack = async (owed: OwedCallback): Promise<void> => {
    for (const callback of owed.callbacks) {
      const about = {
        provider: 'simulator',
        businessId: owed.business_id,
        occurredAt: null,
        raw: { ...callback, MessageSid: owed.provider_message_id },
      };
      const named = { messageId: owed.message_id, providerMessageId: owed.provider_message_id };
      if (callback.fact) {
        await events.receive({ ...about, ...named, kind: 'fact', fact: callback.fact });
        continue;
      }
      await events.receive({
        ...about,
        ...named,
        kind: 'status',
        status: callback.status,
        providerStatus: callback.providerStatus,
        errorCode: callback.errorCode ?? null,
        errorMessage: callback.errorMessage ?? null,
      });
      if (callback.autoReply) {
        await events.receive({
          ...about,
          kind: 'inbound',
          // Always the same for one message: a repeated job brings no second reply.
          providerMessageId: `${owed.provider_message_id}-reply`,
          channel: owed.channel,
          from: owed.to,
          to: owed.from,
          content: callback.autoReply.content,
          subject: callback.autoReply.subject,
          mediaUrls: [],
          autoReply: true,
          requestId: null,
        });
      }
    }
  };

  const handler: JobHandler<OwedCallback> = {
    queue: simulatorCallbackQueue,
    batchSize: 25,
    concurrency: 1,
    async run(jobs) {
      const results = await Promise.allSettled(jobs.map(({ data }) => callBack(data)));
      return new Map(
        results.flatMap((result, i) =>
          result.status === 'rejected' ? [[jobs[i]!.id, result.reason as Error] as const] : [],
        ),
      );
    },
  };
  return [handler as unknown as JobHandler<never>];
}
