import { expect } from 'vitest';
import { type ErrorCode, errorCodes } from '../../contract/index.ts';
import type { Answer } from './omega.ts';

/** RFC 9457 as the contract words it: status, type, code, and one request id in body and header. */
export function expectProblem(answer: Answer, status: number, code: ErrorCode, about = ''): void {
  expect({ status: answer.status, code: answer.body.code }, about).toEqual({ status, code });
  expect(answer.headers.get('content-type'), about).toContain('application/problem+json');
  expect(answer.body, about).toMatchObject({
    type: `urn:omega:error:${code}`,
    title: errorCodes[code].title,
    status,
    detail: expect.stringMatching(/.+/),
    request_id: answer.headers.get('x-request-id'),
  });
  // 422 names every fault; nothing else has any.
  expect(Array.isArray(answer.body.errors), about).toBe(status === 422);
}

/** The faults of a 422, each as `path code`, in the order of their paths. */
export function faultsOf(answer: Answer): string[] {
  return (answer.body.errors ?? [])
    .map((fault: { path: string; code: string }) => `${fault.path} ${fault.code}`)
    .sort();
}
