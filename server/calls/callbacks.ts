import type { CallFacts } from '../core/db/index.ts';
import type { RawWebhook } from '../core/http/index.ts';
import type { AppliedContext, AppliedWebhook } from '../receipts/index.ts';
import type { TwilioForm } from '../twilio/index.ts';
import { endingOf, happenedAt, isCallSid, isOver, recordingOf, secondsOf } from './call-form.ts';
import { isClient, readIdentity } from './identity.ts';
import { noteIncoming } from './incoming.ts';
import { numberCalled } from './own-number.ts';
import type { CallParts } from './parts.ts';
import { readSettings } from './settings.ts';
import { hangUp, nothingToDo, sayAndHangUp, sayNotice, takeVoicemail } from './twiml.ts';
import { answered } from './twiml-answer.ts';

/** What Twilio posted of a call, read. */
export interface CallWebhook {
  form: TwilioForm;
  webhook: RawWebhook;
  context: AppliedContext;
}

/** The call that a URL of ours names: signed with it, by the account of its business. */
function placeOf({
  webhook,
  context,
}: CallWebhook): { businessId: number; callSid: string; query: URLSearchParams } | null {
  const query = new URL(webhook.url).searchParams;
  const businessId = Number(query.get('business_id') ?? Number.NaN);
  const callSid = query.get('call_sid');
  return context.businessIds.includes(businessId) && isCallSid(callSid)
    ? { businessId, callSid, query }
    : null;
}

const notOurs: AppliedWebhook = {
  ...answered(nothingToDo()),
  state: 'ignored',
  note: 'Its URL names no call of the business: it is not from TwiML of ours.',
};

async function tell(
  { carrierEvents, textWhenMissed }: CallParts,
  { context }: CallWebhook,
  of: { businessId: number; callSid: string },
  told: Partial<CallFacts>,
  more: { providerStatus?: string | null; when?: 'soon' | 'after_voicemail' } = {},
): Promise<{ locationId: number | null } | null> {
  const applied = await carrierEvents.receive({
    kind: 'call',
    provider: 'twilio',
    businessId: of.businessId,
    raw: {},
    receiptId: context.receiptId,
    providerMessageId: of.callSid,
    start: null,
    told,
    providerStatus: more.providerStatus ?? null,
    occurredAt: null,
  });
  if (applied.state !== 'applied' || !applied.call) return null;
  await textWhenMissed(applied.call, of.businessId, more.when ?? 'soon');
  return { locationId: applied.call.locationId };
}

const before = (at: Date, seconds: number | null) =>
  new Date(at.getTime() - (seconds ?? 0) * 1000).toISOString();

/** `<Dial>` has ended: notes who was reached; a client whom nobody answered may leave a message. */
export async function afterDial(parts: CallParts, given: CallWebhook): Promise<AppliedWebhook> {
  const place = placeOf(given);
  if (!place) return notOurs;
  const { form, webhook } = given;
  const status = form.DialCallStatus;
  const now = webhook.receivedAt;
  const ended_at = now.toISOString();
  if (status === 'completed' || status === 'answered') {
    const duration_s = secondsOf(form.DialCallDuration);
    await tell(parts, given, place, { answered_at: before(now, duration_s), ended_at, duration_s });
    return answered(hangUp());
  }
  if (isClient(form.From)) {
    const ending = endingOf(status);
    await tell(parts, given, place, { ending, ended_at }, { providerStatus: status });
    return answered(ending === 'canceled' ? hangUp() : sayAndHangUp(unreached[ending ?? 'failed']));
  }
  const hungUp = isOver(form.CallStatus);
  const call = await tell(parts, given, place, { ended_at }, { when: hungUp ? 'soon' : 'after_voicemail' });
  if (hungUp) return answered(hangUp());
  const settings = await readSettings(parts.db, place.businessId, call?.locationId ?? null);
  return answered(takeVoicemail({ ...place, apiUrl: parts.apiUrl }, settings, null));
}

const unreached = {
  busy: 'The line is busy.',
  no_answer: 'Nobody answered.',
  failed: 'The call could not be put through. Check the number.',
};

/** A caller has left a voicemail. */
export async function afterVoicemail(parts: CallParts, given: CallWebhook): Promise<AppliedWebhook> {
  const place = placeOf(given);
  if (!place) return notOurs;
  const recording = recordingOf(given.form, 'voicemail');
  await tell(parts, given, place, { recording, ended_at: given.webhook.receivedAt.toISOString() });
  return answered(hangUp());
}

/** A client picked up a call that will be recorded. */
export async function beforeRecording(parts: CallParts, given: CallWebhook): Promise<AppliedWebhook> {
  const place = placeOf(given);
  if (!place) return notOurs;
  const row = await parts.db
    .selectFrom('messages')
    .select('location_id')
    .where('business_id', '=', place.businessId)
    .where('provider', '=', 'twilio')
    .where('provider_message_id', '=', place.callSid)
    .executeTakeFirst();
  return answered(sayNotice(await readSettings(parts.db, place.businessId, row?.location_id ?? null)));
}

/** A recording is there. */
export async function takeRecording(parts: CallParts, given: CallWebhook): Promise<AppliedWebhook> {
  const place = placeOf(given);
  if (!place) return notOurs;
  const kind = place.query.get('kind') === 'voicemail' ? 'voicemail' : 'conversation';
  const recording = recordingOf(given.form, kind);
  if (!recording) return { ...answered(nothingToDo()), state: 'ignored', note: 'There is no recording.' };
  await tell(parts, given, place, { recording });
  return answered(nothingToDo());
}

/** A call, or one of its legs, has come further. */
export async function takeStatus(parts: CallParts, given: CallWebhook): Promise<AppliedWebhook> {
  const { form, webhook } = given;
  const place = placeOf(given);
  const at = happenedAt(form, webhook.receivedAt);
  if (!place) return takeStatusOfCall(parts, given, at);
  const status = form.CallStatus ?? null;
  const duration_s = secondsOf(form.CallDuration);
  // A client's call rings browsers; what rings a phone is a call that staff made.
  const rung = isClient(form.To) ? readIdentity(form.To) : null;
  const answered_by = rung?.businessId === place.businessId ? rung.staffId : null;
  if (status === 'in-progress') {
    await tell(
      parts,
      given,
      place,
      { answered_at: at.toISOString(), answered_by },
      { providerStatus: status },
    );
  } else if (status === 'completed') {
    const told = { answered_at: before(at, duration_s), answered_by, ended_at: at.toISOString(), duration_s };
    await tell(parts, given, place, told, { providerStatus: status });
  } else if (isClient(form.To)) {
    // One of several browsers that rang: nothing of the call follows from it.
    return { ...answered(nothingToDo()), state: 'ignored', note: `A leg of a call: ${status}.` };
  } else {
    const ending = endingOf(status ?? undefined);
    const told = ending ? { ending, ended_at: at.toISOString() } : {};
    await tell(parts, given, place, told, { providerStatus: status });
  }
  return answered(nothingToDo());
}

/** The callback of a number, or of the TwiML App: it tells of the first leg, whoever answered. */
async function takeStatusOfCall(parts: CallParts, given: CallWebhook, at: Date): Promise<AppliedWebhook> {
  const { form, context } = given;
  const status = form.CallStatus;
  const told = isOver(status) ? { ended_at: at.toISOString() } : {};
  const providerStatus = isOver(status) ? status! : null;
  if (isClient(form.From)) {
    const identity = readIdentity(form.From);
    if (!identity || !context.businessIds.includes(identity.businessId)) return notOurs;
    const of = { businessId: identity.businessId, callSid: form.CallSid! };
    await tell(parts, given, of, told);
    return answered(nothingToDo());
  }
  const number = await numberCalled(parts.db, context.businessIds, form.To);
  if (!number) {
    const note = `${form.To} is no voice sender of the business. Add it with POST /business/onboard.`;
    return { ...answered(nothingToDo()), state: 'ignored', note };
  }
  const noted = await noteIncoming(parts, form, context, number, told, providerStatus);
  if (typeof noted === 'string') return { ...answered(nothingToDo()), note: noted };
  await parts.textWhenMissed(noted, number.businessId, 'soon');
  return answered(nothingToDo());
}
