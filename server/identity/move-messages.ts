import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../core/db/index.ts';

/** Rows of one statement: a thread of any length is moved in statements that each end well within their time-out. */
const chunk = 5_000;

/**
 * Changes messages of a conversation, a bounded number a statement, locking them in the order that
 * everyone locks messages in. `which` must be false of a message that was changed.
 *
 * @param also what is to be done beside, of the messages of each statement
 * @returns how many
 */
export async function changeMessages(
  tx: Tx,
  businessId: number,
  conversationId: string,
  which: RawBuilder<unknown>,
  set: RawBuilder<unknown>,
  also?: (messageIds: string[]) => Promise<void>,
): Promise<number> {
  for (let changed = 0; ; ) {
    const { rows } = await sql<{ message_id: string }>`
      with these as (
        select message_id from messages
        where business_id = ${businessId} and conversation_id = ${conversationId} and ${which}
        order by message_id limit ${chunk} for update
      )
      update messages set ${set} from these
      where messages.business_id = ${businessId} and messages.message_id = these.message_id
      returning messages.message_id`.execute(tx);
    changed += rows.length;
    if (also && rows.length > 0) await also(rows.map((row) => row.message_id));
    if (rows.length < chunk) return changed;
  }
}
