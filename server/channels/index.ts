export type {
  Carrier,
  CarrierAccount,
  CarrierSender,
  Carriers,
  FindOutcome,
  Held,
  MediaOutcome,
  OutgoingAttachment,
  OutgoingMail,
  OutgoingMessage,
  Problem,
  SendOutcome,
} from './carrier.ts';
export type { Attachment } from './email/attachments.ts';
export { contentDisposition, headerFault } from './email/headers.ts';
export { displayHtmlOf, type MailContent, type MailInput, readMail, receiveMail } from './email/mail.ts';
export { canonicalReasons, explain, explainFailure, type Reason, retryDelayMs } from './reasons.ts';
export { answeredByCarrier, type Keyword, readKeyword } from './sms/keywords.ts';
export { countSegments } from './sms/segments.ts';
export { laterWord, learn, nothingKnown, outcomeOf, presentCall, statusOfCall } from './voice/call.ts';
