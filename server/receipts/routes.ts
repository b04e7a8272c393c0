import type { ReceiptState } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';
import { answer, type Binding, type Cursors, own, pageOf, read } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import type { Receipts } from './receipts.ts';
import { listReceipts, type ReceiptHead, readReceipt, webhookOf } from './store.ts';

export function receiptRoutes(options: {
  receipts: Receipts;
  cursors: Cursors;
  secrets: Secrets;
}): Binding[] {
  const { receipts, cursors, secrets } = options;
  return [
    read('listWebhookReceipts', async (db, { query }) => {
      const { cursor, limit = 25, ...filters } = query;
      const about = ['listWebhookReceipts', filters];
      const place = cursor === undefined ? null : String(cursors.decode(about, cursor)[0]);
      const page = pageOf(
        await listReceipts(db, filters, limit + 1, place),
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.receipt_id],
      );
      return answer(200, {
        data: page.rows.map(present),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    read('getWebhookReceipt', async (db, { params }) => {
      const row = await readReceipt(db, params.receipt_id);
      if (!row) throw notFound('receipt');
      const { headers, body } = webhookOf(row, secrets);
      return answer(200, {
        ...present({ ...row, size: body.length }),
        headers: Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, isCredential(name) ? '[hidden]' : value]),
        ),
        body: textOf(body),
        body_base64: body.toString('base64'),
      });
    }),

    own('replayWebhookReceipt', async ({ params }) => {
      // Not pinned to its request: what a replay does is harmless to do again, and its answer is of now.
      const received = await receipts.replay(params.receipt_id);
      if (!received) throw notFound('receipt');
      const { receiptId, state, note } = received;
      return answer(200, { receipt_id: receiptId, state, note });
    }),
  ];
}

function present(row: ReceiptHead & { state: ReceiptState }) {
  return {
    receipt_id: row.receipt_id,
    source: row.source,
    provider: row.provider,
    business_id: row.business_id,
    state: row.state,
    note: row.note,
    method: row.method,
    url: row.url,
    size: row.size,
    times: row.times,
    received_at: row.received_at.toISOString(),
    settled_at: row.settled_at?.toISOString() ?? null,
  };
}

/** A signature proves one request; a password opens them all. */
const isCredential = (name: string) => name === 'authorization' || name === 'cookie';

function textOf(body: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}
