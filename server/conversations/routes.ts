import { businessFor, locationMustExist } from '../businesses/index.ts';
import { findClients } from '../clients/index.ts';
import { readEmail, readPhone } from '../core/addresses.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalidFields } from '../core/fault.ts';
import { answer, type Binding, type Cursors, pageOf, read, write } from '../core/http/index.ts';
import type { JobQueue } from '../core/queue/index.ts';
import { assignConversation } from './assign.ts';
import { createOrRetrieve } from './create-or-retrieve.ts';
import { conversationFilters } from './filters.ts';
import { presentConversation } from './present.ts';
import { type ConversationFilters, conversationRow, listConversations } from './queries.ts';
import { setConversationStatus } from './set-status.ts';

export function conversationRoutes({ cursors, queue }: { cursors: Cursors; queue: JobQueue }): Binding[] {
  return [
    read('getConversationFilters', async (db, { businessId, caller }) => {
      await businessFor(db, businessId);
      const filters = await conversationFilters(db, businessId, caller.staffId);
      return answer(200, { filters, sorts: ['newest' as const, 'longest_waiting' as const] });
    }),

    write('assignConversation', async (tx, { businessId, params, body, now, origin }) => {
      const conversationId = await assignConversation(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        staffId: body.staff_id,
        by: origin,
      });
      return answer(200, presentConversation(await conversationRow(tx, businessId, conversationId)));
    }),

    write('setConversationStatus', async (tx, { businessId, params, body, now, origin }) => {
      const conversationId = await setConversationStatus(tx, now, queue, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        status: body.status,
        snoozedUntil: body.snoozed_until === undefined ? null : new Date(body.snoozed_until),
        by: origin,
      });
      return answer(200, presentConversation(await conversationRow(tx, businessId, conversationId)));
    }),

    read('listConversations', async (db, { businessId, query, caller }) => {
      const business = await businessFor(db, businessId);
      const { cursor, limit = 25, sort = 'newest', ...named } = query;
      const filters: ConversationFilters = {
        status: named.status,
        assignee: assigneeOf(named.assignee, caller.staffId),
        channel: named.channel,
        locationId: named.location_id,
        unread: named.unread,
        waiting: named.waiting,
        since: named.since === undefined ? undefined : new Date(named.since),
      };
      const about = ['listConversations', businessId, sort, named.client ?? null, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      if (named.client !== undefined)
        filters.clients = await findClients(db, businessId, named.client, business.country);
      const after = place && { at: String(place[0]), conversationId: String(place[1]) };
      const rows = await listConversations(db, businessId, filters, sort, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [
          (sort === 'newest' ? row.last_activity_at : row.waiting_since!).toISOString(),
          row.conversation_id,
        ],
      );
      return answer(200, {
        data: page.rows.map(presentConversation),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('createConversation', async (tx, { businessId, params, body, now, origin }) => {
      const business = await businessFor(tx, businessId);
      const phone = body.phone === undefined ? undefined : readPhone(body.phone, business.country);
      const email = body.email === undefined ? undefined : readEmail(body.email);
      const faults = Object.entries({ phone, email }).flatMap(([path, read]) =>
        read && !read.ok ? [{ path, message: read.message, code: 'invalid_format' as const }] : [],
      );
      if (faults.length > 0) throw invalidFields(faults);
      if (body.location_id !== undefined) await locationMustExist(tx, businessId, body.location_id);
      const made = await createOrRetrieve(tx, now, {
        businessId,
        clientId: params.client_id,
        name: body.name,
        phone: phone?.ok ? phone.e164 : undefined,
        email: email?.ok ? email.email : undefined,
        locationId: body.location_id ?? null,
      });
      await recordEvents(
        tx,
        now,
        made.events.map((event) => ({ ...event, by: origin })),
      );
      const row = presentConversation(await conversationRow(tx, businessId, made.conversationId));
      return made.created ? answer(201, row) : answer(200, row);
    }),
  ];
}

function assigneeOf(assignee: string | undefined, staffId: number | null): number | 'unassigned' | undefined {
  if (assignee === undefined || assignee === 'unassigned') return assignee;
  if (assignee !== 'me') return Number(assignee);
  if (staffId === null) {
    throw new Fault(
      'invalid_parameters',
      'assignee: `me` needs a session; with a key, name the staff member.',
      {
        errors: [
          {
            path: 'assignee',
            message: '`me` needs a session; with a key, name the staff member',
            code: 'invalid_value',
          },
        ],
      },
    );
  }
  return staffId;
}
