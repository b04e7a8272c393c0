import { randomBytes } from 'node:crypto';
import { onboardQueue, writeBusiness } from '../businesses/index.ts';
import { upsertStub } from '../clients/index.ts';
import { type Db, inTransaction, type Tx } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault } from '../core/fault.ts';
import type { Origin } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { addNote, applyReports, type Draft, type Written, writeMessages } from '../messages/index.ts';
import { anaId, type Step, studio, studioSms, type Thread, threads, type When } from './story.data.ts';

/** The demo studio: what a first start shows of it. */
export interface DemoStudio {
  businessId: number;
  name: string;
  /** The business's key, to be shown once. */
  apiKey: string;
  /** A client to write to. */
  clientId: number;
  clientName: string;
  conversationId: string;
}

const businessId = studio.business_id;
const bySystem: Origin = { actor: { type: 'system', id: null }, origin: {} };

export async function demoExists(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('businesses')
    .select('business_id')
    .where('business_id', '=', businessId)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Makes the demo studio by the acts that the API's operations call, each at its time of the last
 * days. One transaction: a process that dies meanwhile leaves nothing half made.
 *
 * @throws Fault where there is a business of that id
 */
export async function createDemo(parts: {
  db: Db;
  queue: JobQueue;
  secrets: Secrets;
  now: Date;
}): Promise<DemoStudio> {
  const { queue, now } = parts;
  return inTransaction(parts.db, async (tx) => {
    const opened = timeOf({ daysAgo: 4, at: '12:00' }, now);
    const apiKey = await writeBusiness(tx, opened, studio, parts.secrets);
    if (!apiKey) throw new Fault('invalid_parameters', `There is a business ${businessId} already.`);
    await queue.insert(tx, onboardQueue, [{ data: { business_id: businessId } }]);
    await writeClients(tx, opened);

    const conversations = new Map<Thread, string>();
    const scenes = threads.flatMap((thread) => scenesOf(thread, now));
    for (const scene of scenes.sort((a, b) => a.at.getTime() - b.at.getTime())) {
      const conversationId = await play(tx, queue, parts.secrets, scene, conversations.get(scene.thread));
      conversations.set(scene.thread, conversationId);
    }
    for (const [thread, conversationId] of conversations) await finish(tx, thread, conversationId);

    const ana = threads.find((thread) => thread.client.clientId === anaId)!;
    return {
      businessId,
      name: studio.name,
      apiKey,
      clientId: anaId,
      clientName: ana.client.name,
      conversationId: conversations.get(ana)!,
    };
  });
}

async function writeClients(tx: Tx, at: Date): Promise<void> {
  for (const { client } of threads) await upsertStub(tx, at, { businessId, ...client });
  await recordEvents(
    tx,
    at,
    threads.map(({ client }) => ({
      businessId,
      type: 'client.created',
      by: bySystem,
      data: { client_id: client.clientId, provisional: false },
    })),
  );
}

/** What happened with one client on one day, written together as of the last of it. */
interface Scene {
  thread: Thread;
  at: Date;
  steps: { step: Step; at: Date }[];
}

function scenesOf(thread: Thread, now: Date): Scene[] {
  const scenes: Scene[] = [];
  let before: Step | undefined;
  for (const step of thread.steps) {
    const at = timeOf(step.when, now);
    const scene = scenes.at(-1);
    if (scene && before && belongTogether(before, step)) {
      scene.steps.push({ step, at });
      scene.at = at;
    } else {
      scenes.push({ thread, at, steps: [{ step, at }] });
    }
    before = step;
  }
  return scenes;
}

/** A note and a message that is queued happen at their own moment; texts are recorded by the day. */
function belongTogether(one: Step, other: Step): boolean {
  const isAlone = (step: Step) => step.kind === 'note' || step.kind === 'suppressed';
  const dayOf = ({ when }: Step) => ('daysAgo' in when ? when.daysAgo : 0);
  return !isAlone(one) && !isAlone(other) && dayOf(one) === dayOf(other);
}

/** @returns the conversation that it happened in */
async function play(
  tx: Tx,
  queue: JobQueue,
  secrets: Secrets,
  { thread, at, steps }: Scene,
  conversationId: string | undefined,
): Promise<string> {
  const [first] = steps;
  if (first?.step.kind === 'note') {
    await addNote(tx, at, {
      businessId,
      clientId: thread.client.clientId,
      conversationId: conversationId!,
      content: first.step.content,
      sentBy: first.step.staffId,
      requestId: newRequestId(),
      by: byStaff(first.step.staffId),
    });
    return conversationId!;
  }
  const drafts = steps.map(({ step, at }) => draftOf(thread, step as TextStep, at));
  const written = await writeMessages(tx, at, queue, drafts, secrets);
  for (const [i, one] of written.entries()) {
    if (one instanceof Fault) throw one;
    const { step } = steps[i]!;
    if (step.kind === 'undelivered') await fail(tx, at, one, step);
  }
  return (written[0] as Written).conversationId;
}

type TextStep = Exclude<Step, { kind: 'note' }>;

function draftOf({ client }: Thread, step: TextStep, occurredAt: Date): Draft {
  const common = {
    businessId,
    channel: 'sms',
    clientId: client.clientId,
    clientAddress: client.phone,
    ownAddress: studioSms,
    locationId: client.locationId,
    content: step.content,
    mediaUrls: [],
    metadata: {},
    requestId: newRequestId(),
  };
  const recorded = {
    ...common,
    act: 'record',
    occurredAt,
    provider: 'simulator',
    providerMessageId: `SM${randomBytes(16).toString('hex')}`,
  } as const;
  switch (step.kind) {
    case 'from-client':
      return {
        ...recorded,
        direction: 'inbound',
        by: { actor: { type: 'client', id: client.clientId }, origin: {} },
      };
    case 'from-staff':
      return {
        ...recorded,
        direction: 'outbound',
        status: 'delivered',
        sentBy: step.staffId,
        by: byStaff(step.staffId),
      };
    case 'reminder':
      return {
        ...recorded,
        direction: 'outbound',
        status: 'delivered',
        senderType: 'automation',
        by: bySystem,
      };
    case 'undelivered':
      return { ...recorded, direction: 'outbound', status: 'sent', senderType: 'automation', by: bySystem };
    case 'suppressed':
      // Queued as any message is: the rules keep it from being sent.
      return { ...common, act: 'queue', direction: 'outbound', senderType: 'automation', by: bySystem };
  }
}

async function fail(
  tx: Tx,
  sentAt: Date,
  written: Written,
  step: Extract<Step, { kind: 'undelivered' }>,
): Promise<void> {
  const at = new Date(sentAt.getTime() + 4_000);
  await applyReports(tx, at, [
    {
      businessId,
      messageId: written.messageId,
      source: 'carrier',
      status: 'undelivered',
      provider: 'simulator',
      providerMessageId: null,
      providerStatus: 'undelivered',
      errorCode: step.errorCode,
      errorMessage: step.errorMessage,
      occurredAt: at,
      by: { actor: { type: 'carrier', id: 'simulator' }, origin: { provider: 'simulator' } },
    },
  ]);
}

/** What no operation of the API does yet: reading marks, and whose a conversation is. */
async function finish(tx: Tx, thread: Thread, conversationId: string): Promise<void> {
  if (!thread.unread) {
    await tx
      .updateTable('messages')
      .set({ unread: false })
      .where('business_id', '=', businessId)
      .where('conversation_id', '=', conversationId)
      .where('unread', '=', true)
      .execute();
  }
  await tx
    .updateTable('conversations')
    .set({
      assignee_staff_id: thread.assignee ?? null,
      ...(!thread.unread && { unread_count: 0, waiting_since: null }),
    })
    .where('business_id', '=', businessId)
    .where('conversation_id', '=', conversationId)
    .execute();
}

function byStaff(staffId: number): Origin {
  return { actor: { type: 'staff', id: staffId }, origin: {} };
}

function newRequestId(): string {
  return `demo-${randomBytes(6).toString('hex')}`;
}

const dayMs = 86_400_000;

/** @returns the moment, by the studio's wall clock where a time of day is told */
function timeOf(when: When, now: Date): Date {
  if ('minutesAgo' in when) return new Date(now.getTime() - when.minutesAgo * 60_000);
  const [hours, minutes] = when.at.split(':').map(Number);
  const wall = new Date(now.getTime() + offsetMs(now));
  const midnight = Math.floor(wall.getTime() / dayMs) * dayMs - when.daysAgo * dayMs;
  const asUtc = midnight + (hours! * 60 + minutes!) * 60_000;
  return new Date(asUtc - offsetMs(new Date(asUtc)));
}

/** How far the studio's wall clock is ahead of UTC. */
function offsetMs(at: Date): number {
  const name = new Intl.DateTimeFormat('en-US', { timeZone: studio.time_zone, timeZoneName: 'longOffset' })
    .formatToParts(at)
    .find((part) => part.type === 'timeZoneName')!.value;
  const [, sign, hours, minutes] = /^GMT([+-])(\d\d):(\d\d)$/.exec(name) ?? [];
  if (!sign) return 0;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
