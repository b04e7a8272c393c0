import { businessFor } from '../businesses/index.ts';
import { conversationFor } from '../conversations/index.ts';
import { Fault, invalid, notFound } from '../core/fault.ts';
import {
  answer,
  type Binding,
  type Caller,
  type Cursors,
  type OwnCall,
  own,
  pageOf,
  read,
  write,
} from '../core/http/index.ts';
import { addNote } from './add-note.ts';
import type { Draft, Written } from './draft.ts';
import type { Intake, Submission } from './intake.ts';
import { presentMessage } from './present.ts';
import { findMessageId, listMessages, type MessageFilters } from './queries.ts';
import { applyReports } from './report.ts';

export function messageRoutes(options: { intake: Intake; cursors: Cursors }): Binding[] {
  const { intake, cursors } = options;
  return [
    own('queueSms', async (call) => {
      const { body } = call;
      const submission = submissionOf(call, 'queueSms', 202, {
        ...draftOf(call, body),
        act: 'queue',
        direction: 'outbound',
        clientAddress: body.to,
        ownAddress: body.from,
        category: body.category,
        sendAt: body.send_at === undefined ? undefined : new Date(body.send_at),
      });
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    own('recordSms', async (call) => {
      const { body } = call;
      const submission = submissionOf(call, 'recordSms', 201, {
        ...draftOf(call, body),
        act: 'record',
        direction: body.direction,
        clientAddress: body.to,
        ownAddress: body.from,
        provider: body.provider,
        providerMessageId: body.provider_message_id,
        status: body.status,
        occurredAt: body.occurred_at === undefined ? undefined : new Date(body.occurred_at),
      });
      const { answer: kept, replayed } = await intake.submit(submission);
      return { ...kept, replayed } as never;
    }),

    write('updateSmsStatus', async (tx, { body, businessId, now, origin }) => {
      const named = {
        messageId: body.message_id,
        provider: body.provider,
        providerMessageId: body.provider_message_id,
      };
      if (
        named.messageId === undefined &&
        (named.provider === undefined || named.providerMessageId === undefined)
      ) {
        throw new Fault(
          'invalid_parameters',
          'Name the message: message_id, or provider and provider_message_id.',
          {
            errors: [
              {
                path: 'message_id',
                message: 'is required (or provider and provider_message_id)',
                code: 'required',
              },
            ],
          },
        );
      }
      const messageId = await findMessageId(tx, businessId, named);
      if (!messageId) throw notFound('message');
      const [reported] = await applyReports(tx, now, [
        {
          businessId,
          messageId,
          source: 'api',
          status: body.status,
          provider: body.provider ?? null,
          providerMessageId: body.provider_message_id ?? null,
          providerStatus: null,
          errorCode: body.error_code ?? null,
          errorMessage: body.error_message ?? null,
          occurredAt: body.occurred_at === undefined ? null : new Date(body.occurred_at),
          by: origin,
        },
      ]);
      return answer(200, { message_id: messageId, status: reported!.status, applied: reported!.applied });
    }),

    read('listMessages', async (db, { businessId, params, query }) => {
      const { conversation_id: conversationId } = await conversationFor(
        db,
        businessId,
        params.client_id,
        params.conversation_id,
      );
      const { cursor, limit = 25, order = 'newest', ...named } = query;
      const filters: MessageFilters = {
        channel: named.channel,
        direction: named.direction,
        status: named.status,
        senderType: named.sender_type,
        sentBy: named.sent_by,
        unread: named.unread,
        since: named.since === undefined ? undefined : new Date(named.since),
        until: named.until === undefined ? undefined : new Date(named.until),
        text: named.text,
      };
      const about = ['listMessages', businessId, conversationId, order, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && { at: String(place[0]), messageId: String(place[1]) };
      const rows = await listMessages(db, businessId, conversationId, filters, order, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.occurred_at.toISOString(), row.message_id],
      );
      return answer(200, {
        data: page.rows.map(presentMessage),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('addNote', async (tx, { businessId, params, body, caller, requestId, now, origin }) => {
      await businessFor(tx, businessId);
      const messageId = await addNote(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        content: body.content,
        sentBy: authorOf(caller, body.sent_by),
        requestId,
        by: origin,
      });
      return answer(200, {
        message: 'Note added',
        message_id: messageId,
        conversation_id: params.conversation_id,
        created_at: now.toISOString(),
      });
    }),
  ];
}

/** Whose words they are: a session writes as its own staff member, a key as whom it names. */
function authorOf(caller: Caller, named: number | undefined): number | null {
  if (caller.staffId === null) return named ?? null;
  if (named !== undefined && named !== caller.staffId) {
    throw invalid('sent_by', 'a session writes as its own staff member; leave it out');
  }
  return caller.staffId;
}

type TextCall = OwnCall<'queueSms'> | OwnCall<'recordSms'>;

/** What queued and recorded texts have in common. */
function draftOf(call: TextCall, body: TextCall['body']) {
  return {
    businessId: call.businessId,
    channel: 'sms',
    clientId: body.client_id,
    locationId: body.location_id,
    content: body.content,
    mediaUrls: body.media_urls ?? [],
    sentBy: authorOf(call.caller, body.sent_by) ?? undefined,
    senderType: body.sender_type,
    externalRef: body.external_ref,
    metadata: body.metadata ?? {},
    requestId: call.requestId,
    by: call.origin,
  };
}

function submissionOf(call: TextCall, operation: string, status: number, draft: Draft): Submission {
  return {
    request: {
      businessId: call.businessId,
      requestId: call.requestId,
      operation,
      fingerprint: call.fingerprint,
    },
    draft,
    present: (written) => ({ status, body: textAnswer(call.requestId, written) }),
  };
}

function textAnswer(requestId: string, written: Written) {
  return {
    request_id: requestId,
    message_id: written.messageId,
    conversation_id: written.conversationId,
    client_id: written.clientId,
    status: written.status,
    ...(written.reason && { reason: written.reason }),
    segments: written.segments,
    encoding: written.encoding,
  };
}
