import type { OperationId } from '../../contract/index.ts';
import { type OwnCall, rawWebhookOf } from '../core/http/index.ts';
import type { Receipts } from './receipts.ts';
import type { WebhookAnswer } from './source.ts';

/**
 * The function of a route that a carrier posts to: everything goes through the receipts.
 *
 * @param otherwise the answer to what was kept and gave none of its own
 */
export async function answerWebhook(
  { http, reply, now }: Pick<OwnCall<OperationId>, 'http' | 'reply' | 'now'>,
  options: { receipts: Receipts; publicUrl: string },
  source: string,
  otherwise: WebhookAnswer,
): Promise<{ status: number; body: string }> {
  const received = await options.receipts.receive(source, rawWebhookOf(http, options.publicUrl, now));
  const { status, type, body } = received.answer ?? otherwise;
  reply.type(type);
  return { status, body };
}
