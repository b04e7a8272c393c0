export { answer, type Binding, type Call, type OwnCall, own, read, write } from './bindings.ts';
export { streamOf } from './body-stream.ts';
export { businessOf, type Caller, type Origin, originOf } from './caller.ts';
export { type Cursors, cappedCount, createCursors, mostCounted, pageOf } from './cursor.ts';
export { defaultLimits, type Limits } from './limits.ts';
export { faultOf } from './problem.ts';
export { type RawWebhook, rawWebhookOf } from './raw-webhook.ts';
export {
  answerAgain,
  claimRequests,
  forgetOldRequests,
  type KeptAnswer,
  keepAnswers,
  keyText,
  type RequestKey,
  requestIdReused,
  requestRetentionDays,
} from './requests.ts';
export { buildHttp, type HttpOptions } from './server.ts';
export { compileInput, refuseUnstorable } from './validation.ts';
