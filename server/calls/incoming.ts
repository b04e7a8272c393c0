import type { CallFacts } from '../core/db/index.ts';
import type { NotedCall } from '../messages/index.ts';
import type { AppliedContext, AppliedWebhook } from '../receipts/index.ts';
import type { TwilioForm } from '../twilio/index.ts';
import { callerOf } from './call-form.ts';
import { identityOf } from './identity.ts';
import { isOpen } from './opening.ts';
import { numberCalled, type OwnNumber } from './own-number.ts';
import type { CallParts } from './parts.ts';
import { staffToRing } from './presence.ts';
import { readSettings } from './settings.ts';
import { reject, ringStaff, sayAndHangUp, takeVoicemail } from './twiml.ts';
import { answered } from './twiml-answer.ts';

/** A client calls a number: rings the staff who are on, or takes a message. */
export async function takeIncoming(
  parts: CallParts,
  form: TwilioForm,
  context: AppliedContext,
): Promise<AppliedWebhook> {
  const { db, apiUrl } = parts;
  const callSid = form.CallSid!;
  const number = await numberCalled(db, context.businessIds, form.To);
  if (!number) {
    const note = `${form.To} is no voice sender of the business. Add it with POST /business/onboard.`;
    return { ...answered(reject()), state: 'ignored', note };
  }
  const { businessId, locationId, timeZone } = number;
  const place = { apiUrl, businessId, callSid };
  const settings = await readSettings(db, businessId, locationId);
  const open = isOpen(settings, timeZone, context.now);
  const staff = open ? await staffToRing(db, context.now, businessId, locationId, settings.ring) : [];
  // With nobody to ring it is missed from the beginning; a callback will tell when it really ended.
  const told = staff.length === 0 ? { ended_at: context.now.toISOString() } : {};
  const noted = await noteIncoming(parts, form, context, number, told);
  if (typeof noted === 'string') {
    return { ...answered(sayAndHangUp('We cannot take your call.')), note: noted };
  }
  if (staff.length === 0) {
    await parts.textWhenMissed(noted, businessId, settings.voicemail ? 'after_voicemail' : 'soon');
    const greeting = (open ? null : settings.closed_greeting) ?? settings.greeting;
    return answered(takeVoicemail(place, settings, greeting));
  }
  return answered(
    ringStaff(
      place,
      settings,
      staff.map((staffId) => identityOf({ businessId, staffId })),
      {
        message_id: noted.messageId,
        conversation_id: noted.conversationId,
        client_id: String(noted.clientId),
      },
    ),
  );
}

/** Writes the call down, from whatever tells of it first. @returns the call, or why it is none */
export async function noteIncoming(
  { carrierEvents }: CallParts,
  form: TwilioForm,
  context: AppliedContext,
  number: OwnNumber,
  told: Partial<CallFacts>,
  providerStatus: string | null = null,
): Promise<NotedCall | string> {
  const applied = await carrierEvents.receive({
    kind: 'call',
    provider: 'twilio',
    businessId: number.businessId,
    raw: {},
    receiptId: context.receiptId,
    providerMessageId: form.CallSid!,
    start: {
      direction: 'inbound',
      client: callerOf(form.From),
      own: number.address,
      locationId: number.locationId ?? undefined,
    },
    told,
    providerStatus,
    occurredAt: null,
  });
  return applied.state === 'applied'
    ? applied.call!
    : applied.state === 'refused'
      ? applied.fault.message
      : '';
}
