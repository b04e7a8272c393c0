export type {
  Carrier,
  CarrierAccount,
  Carriers,
  FindOutcome,
  OutgoingMessage,
  SendOutcome,
} from './carrier.ts';
export { canonicalReasons, explain, explainFailure, type Reason, retryDelayMs } from './reasons.ts';
export { answeredByCarrier, type Keyword, readKeyword } from './sms/keywords.ts';
export { countSegments } from './sms/segments.ts';
