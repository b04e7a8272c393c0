import { businessFor } from '../businesses/index.ts';
import type { Db } from '../core/db/index.ts';
import type { AppliedContext, AppliedWebhook } from '../receipts/index.ts';
import type { TwilioForm } from '../twilio/index.ts';
import { type Callee, calleeOf, NotCalled } from './callee.ts';
import { type Identity, readIdentity } from './identity.ts';
import { numberToCallFrom, type OwnNumber } from './own-number.ts';
import type { CallParts } from './parts.ts';
import { mayCall } from './presence.ts';
import { readSettings } from './settings.ts';
import { dialClient, sayAndHangUp } from './twiml.ts';
import { answered } from './twiml-answer.ts';

/** A browser calls: dials the client that it asks for, from a number of the business that its identity names. */
export async function takeOutgoing(
  parts: CallParts,
  form: TwilioForm,
  context: AppliedContext,
): Promise<AppliedWebhook> {
  const callSid = form.CallSid!;
  try {
    const who = await staffOf(parts.db, context.now, form.From, context.businessIds);
    const { callee, from } = await whomAndFrom(parts, who, form);
    const applied = await parts.carrierEvents.receive({
      kind: 'call',
      provider: 'twilio',
      businessId: who.businessId,
      raw: {},
      receiptId: context.receiptId,
      providerMessageId: callSid,
      start: {
        direction: 'outbound',
        client: callee.phone,
        clientId: callee.clientId,
        own: from.address,
        locationId: from.locationId ?? undefined,
        staffId: who.staffId,
      },
      told: {},
      providerStatus: null,
      occurredAt: null,
    });
    if (applied.state === 'refused') throw new NotCalled(applied.fault.message);
    const place = { apiUrl: parts.apiUrl, businessId: who.businessId, callSid };
    const settings = await readSettings(parts.db, who.businessId, from.locationId);
    return answered(dialClient(place, settings, { from: from.address, to: callee.phone }));
  } catch (error) {
    if (!(error instanceof NotCalled)) throw error;
    return {
      ...answered(sayAndHangUp(error.message)),
      state: 'ignored',
      note: `Not called: ${error.message}`,
    };
  }
}

/** @throws NotCalled for an identity of another account's business, and of one who is not on, or no longer staff */
async function staffOf(
  db: Db,
  now: Date,
  from: string | undefined,
  businessIds: readonly number[],
): Promise<Identity & { country: string; home: number | null }> {
  const identity = readIdentity(from);
  const isTheirs = identity !== null && businessIds.includes(identity.businessId);
  if (!isTheirs || !(await mayCall(db, now, identity.businessId, identity.staffId)))
    throw new NotCalled('You may not call from here. Sign in again.');
  const { country } = await businessFor(db, identity.businessId);
  const works = await db
    .selectFrom('staff_locations')
    .select('location_id')
    .where('business_id', '=', identity.businessId)
    .where('staff_id', '=', identity.staffId)
    .limit(2)
    .execute();
  return { ...identity, country, home: works.length === 1 ? works[0]!.location_id : null };
}

async function whomAndFrom(
  { db, secrets }: CallParts,
  who: Identity & { country: string; home: number | null },
  form: TwilioForm,
): Promise<{ callee: Callee; from: OwnNumber }> {
  const callee = await calleeOf(db, secrets, who, {
    to: form.To?.trim() || undefined,
    clientId: form.client_id || undefined,
    conversationId: form.conversation_id || undefined,
  });
  const from = await numberToCallFrom(db, who.businessId, callee.locationId ?? who.home);
  if (!from) throw new NotCalled('The business has no number to call from.');
  if (from.address === callee.phone) throw new NotCalled('This is the number that you call from.');
  return { callee, from };
}
