import type { OperationId } from '../../contract/index.ts';
import { locationMustExist } from '../businesses/index.ts';
import type { Clock } from '../core/clock.ts';
import type { Db, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { answer, type Binding, own, read, write } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { answerWebhook, type Receipts } from '../receipts/index.ts';
import { isOpen } from './opening.ts';
import { readSettings, timeZoneOf, writeSettings } from './settings.ts';
import type { CallSource } from './source-names.ts';
import { giveVoiceToken } from './token.ts';

const posted = [
  ['handleTwimlCall', 'twilio.voice.call'],
  ['handleDialResult', 'twilio.voice.dial-result'],
  ['handleVoicemail', 'twilio.voice.voicemail'],
  ['handleRecordingNotice', 'twilio.voice.recording-notice'],
  ['updateTwilioVoiceStatus', 'twilio.voice.status'],
  ['updateTwilioVoiceRecording', 'twilio.voice.recording'],
] as const satisfies [OperationId, CallSource][];

/** Those in which a call waits for what we say. */
const speaks = new Set<CallSource>(['twilio.voice.call', 'twilio.voice.dial-result']);

export function callRoutes(parts: {
  clock: Clock;
  secrets: Secrets;
  receipts: Receipts;
  publicUrl: string;
}): Binding[] {
  return [
    read('getVoiceToken', async (db, { businessId, caller, query, now }) => {
      const given = await giveVoiceToken(db, now, parts.secrets, {
        businessId,
        caller,
        named: query.staff_id,
      });
      const { token, identity, expiresAt } = given;
      return answer(200, { token, identity, expires_at: expiresAt.toISOString() });
    }),

    read('getVoiceSettings', async (db, { businessId, params, now }) =>
      answer(200, await shown(db, now, businessId, params.location_id)),
    ),

    write('setVoiceSettings', async (tx, { businessId, params, body, now }) => {
      const { request_id: _, ...given } = body;
      await locationMustExist(tx, businessId, params.location_id);
      await writeSettings(tx, now, businessId, params.location_id, given);
      return answer(200, await shown(tx, now, businessId, params.location_id));
    }),

    ...posted.map(([id, source]) =>
      own(id, async (call) => {
        const { silence, sorry } = await import('./acts.ts');
        const otherwise = speaks.has(source) ? sorry : silence;
        return (await answerWebhook(call, parts, source, otherwise)) as { status: 200; body: string };
      }),
    ),
  ];
}

async function shown(db: Db | Tx, now: Date, businessId: number, locationId: number) {
  const timeZone = await timeZoneOf(db, businessId, locationId);
  if (timeZone === null) throw notFound('location');
  const settings = await readSettings(db, businessId, locationId);
  return { location_id: locationId, ...settings, open_now: isOpen(settings, timeZone, now) };
}
