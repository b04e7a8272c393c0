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
export {
  type Attachment,
  mostAttachmentBytes,
  readContentType,
  safeFilename,
} from './email/attachments.ts';
export { contentDisposition, headerFault } from './email/headers.ts';
export { mailIdOf, metadataNames, readMailId, readReplyAddress, replyAddress } from './email/ids.ts';
export {
  displayHtmlOf,
  type MailContent,
  type MailInput,
  mostBodyBytes,
  type ReceivedMail,
  readMail,
  receiveMail,
  type SenderAuthentication,
} from './email/mail.ts';
export { baseSubject, type ThreadMail, threadOf } from './email/thread.ts';
export { canonicalReasons, explain, explainFailure, type Reason, retryDelayMs } from './reasons.ts';
export { answeredByCarrier, type Keyword, readKeyword } from './sms/keywords.ts';
export { countSegments } from './sms/segments.ts';
export { laterWord, learn, nothingKnown, outcomeOf, presentCall, statusOfCall } from './voice/call.ts';
