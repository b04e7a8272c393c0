import { findProviderAccounts } from '../businesses/index.ts';
import type { Keyword } from '../channels/index.ts';
import type { Db } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Applied, CarrierEvents } from '../messages/index.ts';
import type { AppliedContext, AppliedWebhook, WebhookSource } from '../receipts/index.ts';
import { addressOf, channelOf } from './addresses.ts';
import { statusOf } from './outcome.ts';
import { createTwilioVerify, readTwilioForm, type TwilioForm } from './verify.ts';

export const incomingSource = 'twilio.sms.incoming';
export const statusSource = 'twilio.sms.status';

/** Nothing is said in return: a reply goes out as a message of its own. */
export const emptyTwiml = '<?xml version="1.0" encoding="UTF-8"?><Response/>';

/**
 * Hexadecimal, as Twilio makes them. Its signature joins names and values without a mark between, so a value
 * could take up the name after it and fit all the same: ids must not be able to.
 */
const sidPattern = /^(?:SM|MM)[0-9a-f]{1,64}$/i;
const uuid = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** Twilio takes ten at most. */
const mostMedia = 20;

/** What Advanced Opt-Out took the text for, in whatever language its words are set to. */
const optOutTypes: Record<string, Keyword> = { STOP: 'opt_out', START: 'opt_in', HELP: 'help' };

interface Parts {
  db: Db;
  secrets: Secrets;
  carrierEvents: CarrierEvents;
}

/** What Twilio posts about texts: https://www.twilio.com/docs/messaging/guides/webhook-request */
export function twilioSources(parts: Parts): WebhookSource[] {
  const common = {
    provider: 'twilio',
    proofHeaders: ['x-twilio-signature'],
    verify: createTwilioVerify(parts),
  };
  return [
    { ...common, name: incomingSource, apply: (webhook, context) => receiveText(parts, webhook, context) },
    { ...common, name: statusSource, apply: (webhook, context) => updateStatus(parts, webhook, context) },
  ];
}

async function receiveText(
  parts: Parts,
  webhook: RawWebhook,
  { businessIds, receiptId }: AppliedContext,
): Promise<AppliedWebhook> {
  const form = readTwilioForm(webhook);
  const sid = sidOf(form);
  const { From: from, To: to } = form;
  if (!sid || !from || !to)
    return { state: 'unreadable', note: 'It has no MessageSid, From and To as Twilio writes them.' };
  const channel = channelOf(from);
  const owners = await ownersOf(parts, form, businessIds, { channel, address: addressOf(to) });
  if (owners.length === 0)
    return {
      state: 'ignored',
      note: `Several businesses have this Twilio account, and ${to} is a sender of none. Add it to one of them, then replay this.`,
    };
  const applied: Applied[] = [];
  for (const businessId of owners) {
    applied.push(
      await parts.carrierEvents.receive({
        kind: 'inbound',
        provider: 'twilio',
        businessId,
        raw: {},
        receiptId,
        providerMessageId: sid,
        channel,
        from: addressOf(from),
        to: addressOf(to),
        anyOwnAddress: true,
        content: form.Body ?? '',
        subject: null,
        keyword: optOutTypes[form.OptOutType ?? ''],
        mediaUrls: mediaOf(form),
        occurredAt: webhook.receivedAt.toISOString(),
        requestId: null,
      }),
    );
  }
  return resultOf(applied);
}

async function updateStatus(
  parts: Parts,
  webhook: RawWebhook,
  { businessIds, receiptId }: AppliedContext,
): Promise<AppliedWebhook> {
  const form = readTwilioForm(webhook);
  const query = new URL(webhook.url).searchParams;
  const sid = sidOf(form);
  const word = form.MessageStatus ?? form.SmsStatus;
  if (!sid || !word) return { state: 'unreadable', note: 'It has no MessageSid and MessageStatus.' };
  const status = statusOf(word);
  if (!status) return { state: 'ignored', note: `${word.slice(0, 64)} is no status of a sent message.` };
  const businessId = await businessOfMessage(parts, form, businessIds, sid);
  if (businessId === null)
    return { state: 'ignored', note: 'Several businesses have this Twilio account; none sent this message.' };
  const messageId = query.get('message_id') ?? '';
  const attempt = Number(query.get('attempt') ?? Number.NaN);
  const applied = await parts.carrierEvents.receive({
    kind: 'status',
    provider: 'twilio',
    businessId,
    raw: {},
    receiptId,
    messageId: uuid.test(messageId) ? messageId : null,
    attemptNo: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : undefined,
    providerMessageId: sid,
    status,
    providerStatus: word,
    errorCode: /^\d{1,6}$/.test(form.ErrorCode ?? '') ? form.ErrorCode! : null,
    errorMessage: (form.ErrorMessage || form.ChannelStatusMessage)?.slice(0, 1_000) ?? null,
    occurredAt: webhook.receivedAt.toISOString(),
  });
  return resultOf([applied]);
}

function resultOf(applied: Applied[]): AppliedWebhook {
  const refused = applied.find((one) => one.state === 'refused');
  if (refused) return { state: 'ignored', note: refused.fault.message };
  if (applied.every((one) => one.state === 'parked'))
    return { state: 'applied', note: 'Its message is not known yet; it is applied once it is.' };
  return { state: 'applied' };
}

function sidOf(form: TwilioForm): string | null {
  const sid = form.MessageSid ?? form.SmsMessageSid ?? form.SmsSid;
  return sid !== undefined && sidPattern.test(sid) ? sid : null;
}

function mediaOf(form: TwilioForm): string[] {
  const count = Math.min(Number(form.NumMedia ?? 0) || 0, mostMedia);
  return Array.from({ length: count }, (_, i) => form[`MediaUrl${i}`]).filter((url) => url !== undefined);
}

/**
 * Whose text it is: of those with the number as a sender, or else who had it until they removed it; where none has it, as with a number in the pool of a
 * messaging service, of the one that has the account, or the service. A number that two businesses share is
 * blocked for both by one STOP, so both get the text.
 */
async function ownersOf(
  { db, secrets }: Parts,
  form: TwilioForm,
  businessIds: readonly number[],
  at: { channel: string; address: string },
): Promise<readonly number[]> {
  const holders = await db
    .selectFrom('senders')
    .select(['business_id', 'active'])
    .where('business_id', 'in', [...businessIds])
    .where('address', '=', at.address)
    .where('channel', '=', at.channel)
    .orderBy('business_id')
    .execute();
  const using = holders.filter((row) => row.active);
  if (holders.length > 0) return (using.length > 0 ? using : holders).map((row) => row.business_id);
  if (businessIds.length === 1) return businessIds;
  const { MessagingServiceSid: service } = form;
  if (!service) return [];
  const accounts = await findProviderAccounts(db, secrets, 'twilio', { names: [service] });
  const ofService = accounts.map(({ businessId }) => businessId).filter((id) => businessIds.includes(id));
  return ofService.length === 1 ? ofService : [];
}

/** Of several with one account: that which has the message, else that which has the number it came from. */
async function businessOfMessage(
  parts: Parts,
  form: TwilioForm,
  businessIds: readonly number[],
  sid: string,
): Promise<number | null> {
  if (businessIds.length === 1) return businessIds[0]!;
  const attempt = await parts.db
    .selectFrom('attempts')
    .select('business_id')
    .where('provider', '=', 'twilio')
    .where('provider_message_id', '=', sid)
    .where('business_id', 'in', [...businessIds])
    .limit(1)
    .executeTakeFirst();
  if (attempt) return attempt.business_id;
  const message = await parts.db
    .selectFrom('messages')
    .select('business_id')
    .where('provider', '=', 'twilio')
    .where('provider_message_id', '=', sid)
    .where('business_id', 'in', [...businessIds])
    .limit(1)
    .executeTakeFirst();
  if (message) return message.business_id;
  const from = form.From ?? '';
  const at = { channel: channelOf(from), address: addressOf(from) };
  const [owner] = await ownersOf(parts, form, businessIds, at);
  return owner ?? null;
}
