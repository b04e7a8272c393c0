import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { type Provider, readProviderAccount } from '../businesses/index.ts';
import type { Carriers, MediaOutcome } from '../channels/index.ts';
import type { Clock } from '../core/clock.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { newId } from '../core/ids.ts';
import type { JobHandler, JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { fetchMediaQueue } from './queues.ts';
import { writeTimeline } from './timeline.ts';

/** In all: a large file over a slow line. Within the job's lease. */
const fetchDeadlineMs = 45_000;

interface MediaData {
  business_id: number;
  message_id: string;
  provider: string;
  /** Its place among the message's. */
  index: number;
  url: string;
}

/** The pictures of a message, or the recording of a call, that its carrier keeps for us, each a job of its own, in the message's transaction. */
export async function fetchLater(
  tx: Tx,
  queue: JobQueue,
  message: { businessId: number; messageId: string; provider: string; mediaUrls: readonly string[] },
): Promise<void> {
  await queue.insert(
    tx,
    fetchMediaQueue,
    message.mediaUrls.map((url, index) => ({
      data: {
        business_id: message.businessId,
        message_id: message.messageId,
        provider: message.provider,
        index,
        url,
      },
    })),
  );
}

/** Brings what clients sent beside their words, and keeps it with the message. */
export function mediaJobs(options: {
  db: Db;
  clock: Clock;
  secrets: Secrets;
  carriers: Carriers;
}): JobHandler<never>[] {
  const { db, clock, secrets, carriers } = options;
  const now = () => new Date(clock.now());

  async function bring(data: MediaData): Promise<void> {
    const fetchMedia = carriers.get(data.provider)?.fetchMedia;
    if (!fetchMedia) return;
    const account = await readProviderAccount(db, secrets, data.business_id, data.provider as Provider);
    const outcome = await fetchMedia(data.url, account, AbortSignal.timeout(fetchDeadlineMs));
    if (outcome.kind === 'later') throw new Error(outcome.detail);
    await inTransaction(db, (tx) =>
      outcome.kind === 'fetched'
        ? keepMedia(tx, now(), data, outcome)
        : noteRefusal(tx, now(), data, outcome.detail),
    );
  }

  const handler: JobHandler<MediaData> = {
    queue: fetchMediaQueue,
    // One after the other: a file may have megabytes.
    batchSize: 1,
    concurrency: 2,
    async run([job]) {
      try {
        await bring(job!.data);
        return new Map();
      } catch (error) {
        return new Map([[job!.id, error as Error]]);
      }
    },
    bury: (tx, data, error) => noteRefusal(tx, now(), data, error),
  };
  return [handler as unknown as JobHandler<never>];
}

/** Locked; null where it was erased meanwhile: nothing of it may come back. */
async function messageWith(tx: Tx, { business_id, message_id, url }: MediaData) {
  const message = await tx
    .selectFrom('messages')
    .select(['conversation_id', 'client_id', 'channel', 'media_urls', 'attachments', 'call'])
    .where('business_id', '=', business_id)
    .where('message_id', '=', message_id)
    .forUpdate()
    .executeTakeFirst();
  const isStillTheirs = message?.media_urls.includes(url) || message?.call?.recording?.url === url;
  return message && isStillTheirs ? message : null;
}

async function keepMedia(
  tx: Tx,
  now: Date,
  data: MediaData,
  { content, contentType, extension }: MediaOutcome & { kind: 'fetched' },
): Promise<void> {
  const { business_id, message_id, provider, index, url } = data;
  const message = await messageWith(tx, data);
  if (!message) return;
  const filename = `${message.call ? 'recording' : `media-${index + 1}`}.${extension}`;
  if (message.attachments.some((file) => file.filename === filename)) return;
  const file = { attachment_id: newId(), filename, content_type: contentType, size: content.length };
  await tx
    .insertInto('attachments')
    .values({
      business_id,
      message_id,
      ...file,
      sha256: createHash('sha256').update(content).digest('hex'),
      content: sql`decode(${content.toString('base64')}, 'base64')`,
      source_url: url,
      created_at: now,
    })
    .execute();
  const attachments = [...message.attachments, file].sort((a, b) =>
    a.filename.localeCompare(b.filename, 'en', { numeric: true }),
  );
  await tx
    .updateTable('messages')
    .set({ attachments: JSON.stringify(attachments) })
    .where('business_id', '=', business_id)
    .where('message_id', '=', message_id)
    .execute();
  await recordEvents(tx, now, [
    {
      businessId: business_id,
      type: 'message.attachment_added',
      by: { actor: { type: 'carrier', id: provider }, origin: { provider } },
      data: {
        message_id,
        conversation_id: message.conversation_id,
        client_id: message.client_id,
        channel: message.channel,
        attachment: file,
      },
    },
  ]);
}

/** It will not come: why is in the message's timeline, for whoever misses the picture. */
async function noteRefusal(tx: Tx, now: Date, data: MediaData, detail: string): Promise<void> {
  const { business_id, message_id, url } = data;
  if (!(await messageWith(tx, data))) return;
  await writeTimeline(tx, [
    {
      businessId: business_id,
      messageId: message_id,
      kind: 'media.refused',
      at: now,
      data: { url, detail },
    },
  ]);
}
