import { businessFor } from '../businesses/index.ts';
import { clientFor, clientProfile } from '../clients/index.ts';
import { conversationRow, conversationsOfClient, presentConversation } from '../conversations/index.ts';
import { answer, type Binding, type Cursors, pageOf, read, write } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { presentMessage } from '../messages/index.ts';
import { confirmIdentity } from './confirm.ts';
import { eraseClient } from './erase.ts';
import { consentsOfClient, messagesOfClient } from './export.ts';
import { mergeClients } from './merge.ts';
import { moveMessages } from './move.ts';
import { unmergeClient } from './unmerge.ts';

/** A client has at most one open conversation at a time; a thousand closed ones is a lifetime. */
const mostConversations = 1_000;

export function identityRoutes({ cursors, secrets }: { cursors: Cursors; secrets: Secrets }): Binding[] {
  return [
    write('mergeClient', async (tx, { businessId, params, body, now, origin }) => {
      await businessFor(tx, businessId);
      const clientId = await mergeClients(tx, now, {
        businessId,
        clientId: params.client_id,
        otherId: body.merge_client_id,
        by: origin,
      });
      return answer(200, await clientProfile(tx, businessId, clientId, secrets));
    }),

    write('unmergeClient', async (tx, { businessId, params, body, now, origin }) => {
      await businessFor(tx, businessId);
      const clientId = await unmergeClient(tx, now, {
        businessId,
        clientId: params.client_id,
        mergedId: body.merged_client_id,
        by: origin,
      });
      return answer(200, await clientProfile(tx, businessId, clientId, secrets));
    }),

    write('moveMessages', async (tx, { businessId, params, body, now, origin }) => {
      const { moved, conversationId, clientId } = await moveMessages(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        messageIds: body.message_ids,
        toClientId: body.to_client_id,
        by: origin,
      });
      return answer(200, { moved, conversation_id: conversationId, client_id: clientId });
    }),

    read('exportClient', async (db, { businessId, params, query, now }) => {
      const { client_id: clientId } = await clientFor(db, businessId, params.client_id);
      const { cursor, limit = 1000 } = query;
      const about = ['exportClient', businessId, clientId];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const after = place && {
        conversationId: String(place[0]),
        at: String(place[1]),
        messageId: String(place[2]),
      };
      const rows = await messagesOfClient(db, businessId, clientId, limit, after);
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.conversation_id, row.occurred_at.toISOString(), row.message_id],
      );
      const first = after === null;
      return answer(200, {
        exported_at: now.toISOString(),
        client: first ? await clientProfile(db, businessId, clientId, secrets) : null,
        consents: first ? await consentsOfClient(db, businessId, clientId) : [],
        conversations: first
          ? (await conversationsOfClient(db, businessId, clientId, mostConversations)).map(
              presentConversation,
            )
          : [],
        messages: page.rows.map(presentMessage),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('eraseClient', async (tx, { businessId, params, now, origin }) => {
      const erased = await eraseClient(
        tx,
        now,
        { businessId, clientId: params.client_id, by: origin },
        secrets,
      );
      return answer(200, {
        client_id: erased.clientId,
        erased_at: erased.erasedAt.toISOString(),
        messages_erased: erased.messagesErased,
        messages_canceled: erased.messagesCanceled,
        addresses_erased: erased.addressesErased,
      });
    }),

    write('confirmIdentity', async (tx, { businessId, params, body, now, origin }) => {
      const conversationId = await confirmIdentity(tx, now, {
        businessId,
        clientId: params.client_id,
        conversationId: params.conversation_id,
        confirmedId: body.client_id,
        by: origin,
      });
      return answer(200, presentConversation(await conversationRow(tx, businessId, conversationId)));
    }),
  ];
}
