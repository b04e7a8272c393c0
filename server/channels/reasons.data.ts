/**
 * Why a message was not delivered, as data: our words first, then what each provider's codes mean in them.
 *
 * Twilio advises against hard logic on its codes, since they change; so the code knows only these words, a
 * new code is a new row, and a code that has no row is `unknown` and never retried by itself.
 */

/** How often and how soon Omega tries again. Attempts include the first. */
export interface RetryPolicy {
  maxAttempts: number;
  firstDelayS: number;
  maxDelayS: number;
}

export interface ReasonRow {
  reason: string;
  /** Omega tries again by itself, as `retry` says. */
  retryable: boolean;
  /**
   * Failed for good: the same message to the same address cannot arrive, whatever is repaired, so a retry
   * by filter skips it. False and not retryable: somebody must act first, then a retry by hand can help.
   */
  final: boolean;
  /** One or two plain sentences for the staff: what happened, what to do. */
  advice: string;
  retry?: RetryPolicy;
  /**
   * `opt_out`: the consent ledger must learn of it, so that the next send is refused by us. `pause_account`: the
   * carrier refuses the account and not the message, so what waits behind it is not sent until that is mended.
   */
  effect?: 'opt_out' | 'pause_account';
}

/** A provider's codes and the word for them; what is given here besides replaces what the word says. */
export interface ProviderRow extends Partial<Omit<ReasonRow, 'reason'>> {
  provider: string;
  codes: readonly string[];
  reason: ReasonName;
}

/**
 * For refusals that end by waiting. Twenty attempts reach over an hour, so an outage of the length that
 * providers report only delays a message; what is too old by then is `expired` by its own limit.
 */
const untilItPasses: RetryPolicy = { maxAttempts: 20, firstDelayS: 2, maxDelayS: 900 };

export const reasonRows = [
  {
    reason: 'opted_out',
    retryable: false,
    final: true,
    advice: 'This client asked to get no more of these messages. Only they can undo that (by text: START).',
    effect: 'opt_out',
  },
  {
    reason: 'invalid_address',
    retryable: false,
    final: true,
    advice: 'This number or address cannot receive the message. Ask the client for the right one.',
  },
  {
    reason: 'landline',
    retryable: false,
    final: true,
    advice: 'This is a landline, or a carrier that takes no texts. Call the client, or use another channel.',
  },
  {
    reason: 'blocked',
    retryable: false,
    final: true,
    advice: "The client's phone or carrier refuses our messages. Reach the client by another channel.",
  },
  {
    reason: 'filtered',
    retryable: false,
    // Once more with the same words would be filtered again, and costs the sender its reputation.
    final: true,
    advice: 'The carrier took this message for spam. Word it anew, without shortened links, and send that.',
  },
  {
    reason: 'media_unsupported',
    retryable: false,
    final: true,
    advice: 'This number cannot get pictures or files. Send the text with a link in their place.',
  },
  {
    reason: 'invalid_request',
    retryable: false,
    final: true,
    advice: 'The provider does not accept the message in this form. Correct it and send it as a new message.',
  },
  {
    reason: 'unreachable',
    retryable: true,
    final: false,
    // What a carrier accepted is not sent again by itself: it may have come after all.
    advice: 'The phone is off or out of reach. Retry in an hour or so; if that fails, call the client.',
    // A phone that is off stays off for a while, so the second and last attempt waits half an hour or more.
    retry: { maxAttempts: 2, firstDelayS: 1_800, maxDelayS: 3_600 },
  },
  {
    reason: 'rate_limited',
    retryable: true,
    final: false,
    advice: 'The provider took no more messages at that moment, for longer than Omega tries. Retry later.',
    retry: untilItPasses,
  },
  {
    reason: 'window',
    retryable: true,
    final: false,
    advice: 'It is too early or too late at the client to send this. Omega tries again later by itself.',
    retry: { maxAttempts: 8, firstDelayS: 3_600, maxDelayS: 14_400 },
  },
  {
    reason: 'client_replied',
    retryable: false,
    final: true,
    advice: 'Nothing to do: the client wrote before it was due, and it was to be sent only if they did not.',
  },
  {
    reason: 'account_config',
    retryable: false,
    final: false,
    advice:
      "The provider refuses the business's account. Check its credentials, status and balance, then retry.",
  },
  {
    reason: 'sender_config',
    retryable: false,
    final: false,
    advice: 'The sender cannot write to this client. Give the business a sender that can, then retry.',
  },
  {
    reason: 'sender_unregistered',
    retryable: false,
    final: false,
    advice:
      'The sender is not registered for business texts (in the US: A2P 10DLC). Register it, then retry.',
  },
  {
    reason: 'region_not_permitted',
    retryable: false,
    final: false,
    advice:
      "The provider's account may not text this country. Allow it there (Twilio: Geo Permissions), then retry.",
  },
  {
    reason: 'price',
    retryable: false,
    final: false,
    advice: 'The message costs more than the highest price that is set. Raise the limit, then retry.',
  },
  {
    reason: 'no_answer',
    // It may have been sent: until the carrier's callback or its list settles that, sending again could
    // reach the client twice.
    retryable: false,
    final: false,
    advice:
      'The provider got the message but did not answer, so it may have been sent. Omega is finding out.',
  },
  {
    reason: 'timeout',
    retryable: true,
    final: false,
    advice: 'The provider could not be reached, and has not got the message. Retry once it is back.',
    retry: untilItPasses,
  },
  {
    reason: 'server_error',
    retryable: true,
    final: false,
    advice: 'The provider had trouble of its own. Retry later; its status page may say more.',
    retry: untilItPasses,
  },
  {
    reason: 'busy',
    retryable: false,
    final: false,
    advice: 'The line was busy. Call again later, or write to the client.',
  },
  {
    reason: 'unanswered',
    retryable: false,
    final: false,
    advice: 'Nobody picked up. Call again later, or write to the client.',
  },
  {
    reason: 'call_failed',
    retryable: false,
    final: false,
    advice:
      "The call could not be put through. Check the number, and that the provider's account may call its country.",
  },
  {
    reason: 'erased',
    retryable: false,
    final: true,
    advice: "The client's data was erased, so nothing can be sent to them.",
  },
  {
    reason: 'expired',
    retryable: false,
    final: true,
    advice: 'The message was too old to be of use when it could be sent. Send a new one if it still matters.',
  },
  {
    reason: 'internal',
    retryable: true,
    final: false,
    advice:
      'Omega failed to send this. It tries a few times more; if it still fails, tell whoever runs Omega.',
    retry: { maxAttempts: 5, firstDelayS: 5, maxDelayS: 300 },
  },
  {
    reason: 'unknown',
    retryable: false,
    final: false,
    advice: 'Omega does not know why this failed. Check the address, then retry once by hand.',
  },
] as const satisfies readonly ReasonRow[];

export type ReasonName = (typeof reasonRows)[number]['reason'];

/** A mailbox or its server that cannot take mail now: the phones' wording would not fit. */
const mailLater =
  'The mailbox or its server could not take the mail now. Retry later, or use another channel.';

const later = { advice: mailLater } as const;
const noMailbox = 'There is no such mailbox, or it takes no mail. Ask the client for the right address.';
const refusedByServer = 'The receiving mail server refuses our mail. Reach the client by another channel.';
const onSuppressionList =
  'The provider sends no mail to this address any more, after a bounce or a complaint. Ask for another one.';
const takenForSpam = 'The mail was taken for spam or held a forbidden file. Word it anew, and send that.';
const senderNotProven =
  "The sender's domain does not allow this provider (SPF, DKIM, DMARC). Set its DNS up as the provider says, then retry.";

/** Only the provider's list keeps the mail away: the ledger learns of the unsubscription by its own event. */
const unsubscribedAt = (provider: string, code: string): ProviderRow => ({
  provider,
  codes: [code],
  reason: 'opted_out',
  effect: undefined,
  advice: 'This client unsubscribed at the provider, which sends them no mail. Only they can undo that.',
});

/**
 * A mail server that says "later" often means minutes (it greylists who is new to it), and at worst some hours:
 * RFC 5321, 4.5.4.1. Eight attempts reach over seven hours, half a day at most.
 */
const mailSoon: RetryPolicy = { maxAttempts: 8, firstDelayS: 300, maxDelayS: 14_400 };

/** Who speaks SMTP's codes, in answers and in events. */
export const mailProviders: readonly string[] = ['smtp', 'sendgrid', 'mailgun', 'postmark', 'ses', 'resend'];

/**
 * Twilio's codes: https://www.twilio.com/docs/api/errors. `http` is for answers with a status alone.
 *
 * `smtp`: the enhanced status codes of RFC 3463, section 3 (list: IANA, SMTP Enhanced Status Codes), which any
 * mail provider may report. An `x` stands for any number; the most precise row counts. 5 is for good, 4 may pass.
 * Codes of three digits are those of RFC 5321, 4.2.3, for servers that tell no more.
 *
 * `sendgrid`: the statuses of its API: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors
 */
export const providerRows: readonly ProviderRow[] = [
  { provider: 'twilio', codes: ['21610'], reason: 'opted_out' },
  {
    provider: 'twilio',
    codes: [
      '21201',
      '21211',
      '21214',
      '21217',
      '21401',
      '21604',
      '21614',
      '30005',
      '30014',
      '63003',
      '63024',
    ],
    reason: 'invalid_address',
  },
  {
    provider: 'twilio',
    codes: ['21202'],
    reason: 'invalid_address',
    advice: 'This is a premium number, which gets no texts. Ask the client for another one.',
  },
  { provider: 'twilio', codes: ['21635', '30006'], reason: 'landline' },
  // The account itself: what waits behind the message would be refused as well.
  {
    provider: 'twilio',
    codes: ['20003', '20005', '20006', '20010', '20403', '30002', '63051'],
    reason: 'account_config',
    effect: 'pause_account',
  },
  {
    provider: 'twilio',
    codes: ['20008', '63001', '63002', '63008', '63020', '63022', '63035'],
    reason: 'account_config',
  },
  {
    provider: 'twilio',
    codes: ['21210', '21219', '21607', '21608', '63015'],
    reason: 'account_config',
    advice:
      'A trial account may only text verified numbers. Upgrade the account or verify this number, then retry.',
  },
  {
    provider: 'twilio',
    codes: [
      '21212',
      '21213',
      '21407',
      '21601',
      '21603',
      '21606',
      '21612',
      '21613',
      '21615',
      '21616',
      '21621',
      '21622',
    ],
    reason: 'sender_config',
  },
  {
    provider: 'twilio',
    codes: [
      '21649',
      '21650',
      '21657',
      '21708',
      '21709',
      '30018',
      '30024',
      '30040',
      '63007',
      '63014',
      '63026',
      '63039',
    ],
    reason: 'sender_config',
  },
  {
    provider: 'twilio',
    codes: ['21701', '21702', '21703', '21704', '21705', '21711', '21712', '21715'],
    reason: 'sender_config',
    advice:
      'The messaging service cannot send from this number. Add the number to its sender pool at Twilio, then retry.',
  },
  { provider: 'twilio', codes: ['21215', '21408'], reason: 'region_not_permitted' },
  { provider: 'twilio', codes: ['14107', '20429', '30022', '63017', '63018'], reason: 'rate_limited' },
  {
    provider: 'twilio',
    codes: ['21611', '30001'],
    reason: 'rate_limited',
    advice: "The sender's queue at the provider was full. Retry later; more senders make it faster.",
    // That queue holds hours of messages and drains at about one a second on a US number: asking again
    // within seconds only adds to the load.
    retry: { maxAttempts: 12, firstDelayS: 60, maxDelayS: 3_600 },
  },
  {
    provider: 'twilio',
    codes: ['30023', '30027', '63038'],
    reason: 'rate_limited',
    advice: "The sender's daily number of texts is used up. Retry tomorrow, and register for more at Twilio.",
    // The count starts anew at midnight: three hours apart, at most a day in all.
    retry: { maxAttempts: 10, firstDelayS: 3_600, maxDelayS: 10_800 },
  },
  { provider: 'twilio', codes: ['30003'], reason: 'unreachable' },
  { provider: 'twilio', codes: ['30004', '63032', '63033', '63036'], reason: 'blocked' },
  { provider: 'twilio', codes: ['21216', '30007', '30450', '63013'], reason: 'filtered' },
  {
    provider: 'twilio',
    codes: ['30008'],
    reason: 'unknown',
    retryable: true,
    advice:
      'The carrier failed without a reason. Retry once, a little later; if that fails, call the client.',
    retry: { maxAttempts: 2, firstDelayS: 300, maxDelayS: 600 },
  },
  {
    provider: 'twilio',
    codes: [
      '20500',
      '20503',
      '21730',
      '30017',
      '30020',
      '30021',
      '30410',
      '63009',
      '63010',
      '63012',
      '63023',
    ],
    reason: 'server_error',
    // What Twilio took and could not deliver has taken a while already.
    retry: { maxAttempts: 6, firstDelayS: 60, maxDelayS: 1_800 },
  },
  { provider: 'twilio', codes: ['30036'], reason: 'expired' },
  { provider: 'twilio', codes: ['21627', '30010', '30031'], reason: 'price' },
  { provider: 'twilio', codes: ['30011', '63005', '63006'], reason: 'media_unsupported' },
  {
    provider: 'twilio',
    codes: ['11200', '11205', '11210', '11215', '11220', '11237', '12300', '21620', '63019'],
    reason: 'invalid_request',
    advice:
      'Twilio could not fetch the picture or file. Its link must open for anyone, over https, with its right type.',
  },
  {
    provider: 'twilio',
    codes: ['11751', '21623', '30019', '63034', '63037'],
    reason: 'invalid_request',
    advice: 'The picture or file is too large, or there are too many. Send a smaller one, or a link to it.',
  },
  { provider: 'twilio', codes: ['30032', '30033', '30034', '30035', '30125'], reason: 'sender_unregistered' },
  {
    provider: 'twilio',
    codes: ['63016'],
    reason: 'invalid_request',
    advice:
      'WhatsApp lets a business write freely for 24 hours after the client wrote last. Use a text or a mail.',
  },
  {
    provider: 'twilio',
    codes: ['63011', '63021', '63025', '63027', '63028', '63029', '63030', '63040', '63041', '63042'],
    reason: 'invalid_request',
  },
  { provider: 'twilio', codes: ['30047', '30610', '30615'], reason: 'window' },
  {
    provider: 'twilio',
    codes: [
      '20001',
      '20404',
      '20413',
      '20422',
      '21602',
      '21605',
      '21609',
      '21617',
      '21618',
      '21619',
      '21624',
      '21626',
    ],
    reason: 'invalid_request',
  },
  {
    provider: 'twilio',
    codes: [
      '21652',
      '21653',
      '21654',
      '21655',
      '21656',
      '21658',
      '21910',
      '30012',
      '30013',
      '30015',
      '30016',
      '30028',
      '30029',
      '30030',
      '30400',
      '63031',
    ],
    reason: 'invalid_request',
  },
  {
    provider: 'twilio',
    codes: ['35111', '35114', '35115', '35118', '35125', '35126'],
    reason: 'invalid_request',
  },
  { provider: 'http', codes: ['401', '403'], reason: 'account_config' },
  { provider: 'http', codes: ['429'], reason: 'rate_limited' },
  { provider: 'http', codes: ['5xx'], reason: 'server_error' },
  {
    provider: 'smtp',
    codes: ['5.1.x', '5.2.1', '5.4.4'],
    reason: 'invalid_address',
    advice: 'There is no such mailbox, or it takes no mail. Ask the client for the right address.',
  },
  { provider: 'smtp', codes: ['5.1.7', '5.1.8', '5.7.23', '5.7.26'], reason: 'sender_config' },
  { provider: 'smtp', codes: ['551', '553'], reason: 'invalid_address' },
  { provider: 'smtp', codes: ['5.7.8', '5.7.9', '530', '534', '535', '538'], reason: 'account_config' },
  { provider: 'smtp', codes: ['421'], reason: 'rate_limited' },
  { provider: 'smtp', codes: ['4.x.x', '4xx'], reason: 'unreachable', advice: mailLater, retry: mailSoon },
  { provider: 'smtp', codes: ['5.2.2'], reason: 'unreachable', advice: mailLater },
  {
    provider: 'smtp',
    codes: ['4.2.2'],
    reason: 'unreachable',
    advice: "The client's mailbox is full. Retry later, or use another channel.",
    retry: mailSoon,
  },
  { provider: 'smtp', codes: ['4.3.2', '4.7.x'], reason: 'rate_limited' },
  { provider: 'smtp', codes: ['5.2.3', '5.3.4', '5.5.x', '5.6.x', '552'], reason: 'invalid_request' },
  {
    provider: 'smtp',
    codes: ['5.7.x'],
    reason: 'blocked',
    advice: 'The receiving mail server refuses our mail. Reach the client by another channel.',
  },
  {
    provider: 'smtp',
    codes: ['5.x.x', '5xx'],
    reason: 'unknown',
    final: true,
    advice: 'The receiving mail server refused this for good. Check the address, or use another channel.',
  },
  // The mail providers' own words, where they say more than the receiving server's enhanced status code, or it
  // gave none. https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
  {
    provider: 'sendgrid',
    codes: ['bounce', 'dropped.bounced_address', 'dropped.invalid'],
    reason: 'invalid_address',
    advice: noMailbox,
  },
  { provider: 'sendgrid', codes: ['blocked'], reason: 'blocked', advice: refusedByServer },
  {
    provider: 'sendgrid',
    codes: ['dropped.spam_reporting_address'],
    reason: 'blocked',
    advice: onSuppressionList,
  },
  unsubscribedAt('sendgrid', 'dropped.unsubscribed_address'),
  { provider: 'sendgrid', codes: ['dropped.spam_content'], reason: 'filtered', advice: takenForSpam },
  { provider: 'sendgrid', codes: ['dropped.invalid_smtpapi_header'], reason: 'invalid_request' },
  { provider: 'sendgrid', codes: ['dropped.over_quota'], reason: 'account_config' },
  // https://postmarkapp.com/developer/api/bounce-api#bounce-types
  {
    provider: 'postmark',
    codes: ['HardBounce', 'BadEmailAddress', 'Unconfirmed'],
    reason: 'invalid_address',
    advice: noMailbox,
  },
  { provider: 'postmark', codes: ['SoftBounce', 'Transient', 'DnsError'], reason: 'unreachable', ...later },
  { provider: 'postmark', codes: ['Blocked'], reason: 'blocked', advice: refusedByServer },
  { provider: 'postmark', codes: ['VirusNotification'], reason: 'filtered', advice: takenForSpam },
  { provider: 'postmark', codes: ['DMARCPolicy'], reason: 'sender_config', advice: senderNotProven },
  { provider: 'postmark', codes: ['ManuallyDeactivated'], reason: 'blocked', advice: onSuppressionList },
  { provider: 'postmark', codes: ['SMTPApiError', 'TemplateRenderingFailed'], reason: 'invalid_request' },
  // https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure
  {
    provider: 'mailgun',
    codes: ['bounce', 'hardfail', 'suppress-bounce'],
    reason: 'invalid_address',
    advice: noMailbox,
  },
  {
    provider: 'mailgun',
    codes: ['generic', 'temporary', 'old', 'greylisted'],
    reason: 'unreachable',
    ...later,
  },
  { provider: 'mailgun', codes: ['espblock', 'blacklisted'], reason: 'blocked', advice: refusedByServer },
  { provider: 'mailgun', codes: ['suppress-complaint'], reason: 'blocked', advice: onSuppressionList },
  unsubscribedAt('mailgun', 'suppress-unsubscribe'),
  { provider: 'mailgun', codes: ['rejected'], reason: 'invalid_request' },
  // https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
  {
    provider: 'ses',
    codes: ['Permanent.General', 'Permanent.NoEmail', 'Permanent.Undetermined'],
    reason: 'invalid_address',
    advice: noMailbox,
  },
  {
    provider: 'ses',
    codes: ['Permanent.Suppressed', 'Permanent.OnAccountSuppressionList'],
    reason: 'blocked',
    advice: onSuppressionList,
  },
  unsubscribedAt('ses', 'Permanent.UnsubscribedRecipient'),
  {
    provider: 'ses',
    codes: [
      'Transient.General',
      'Transient.MailboxFull',
      'Transient.CustomTimeoutExceeded',
      'Undetermined.Undetermined',
    ],
    reason: 'unreachable',
    ...later,
  },
  {
    provider: 'ses',
    codes: ['Transient.MessageTooLarge', 'Transient.AttachmentRejected', 'RenderingFailure'],
    reason: 'invalid_request',
  },
  {
    provider: 'ses',
    codes: ['Transient.ContentRejected', 'Reject'],
    reason: 'filtered',
    advice: takenForSpam,
  },
  // https://resend.com/docs/dashboard/emails/email-bounces
  {
    provider: 'resend',
    codes: ['Permanent', 'Permanent.General', 'Permanent.NoEmail'],
    reason: 'invalid_address',
    advice: noMailbox,
  },
  {
    provider: 'resend',
    codes: ['suppressed', 'Permanent.Suppressed', 'Permanent.OnAccountSuppressionList'],
    reason: 'blocked',
    advice: onSuppressionList,
  },
  {
    provider: 'resend',
    codes: [
      'Transient',
      'Transient.General',
      'Transient.MailboxFull',
      'Undetermined',
      'Undetermined.Undetermined',
    ],
    reason: 'unreachable',
    ...later,
  },
  {
    provider: 'resend',
    codes: ['Transient.MessageTooLarge', 'Transient.AttachmentRejected'],
    reason: 'invalid_request',
  },
  { provider: 'resend', codes: ['Transient.ContentRejected'], reason: 'filtered', advice: takenForSpam },
  { provider: 'resend', codes: ['reached_daily_quota'], reason: 'account_config' },
  { provider: 'sendgrid', codes: ['400', '406', '413', '415'], reason: 'invalid_request' },
  { provider: 'sendgrid', codes: ['401'], reason: 'account_config', effect: 'pause_account' },
  { provider: 'sendgrid', codes: ['403', '404', '405'], reason: 'account_config' },
  { provider: 'sendgrid', codes: ['429'], reason: 'rate_limited' },
  {
    provider: 'simulator',
    codes: ['suppressed'],
    reason: 'blocked',
    advice:
      'The provider sends no mail to this address any more, after a bounce or a complaint. Ask for another one.',
  },
];
