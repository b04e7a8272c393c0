import { metadataNames, type OutgoingMessage } from '../../channels/index.ts';

/** Providers that take mail by SMTP; `smtp` is any server. */
export const smtpProviders = ['smtp', 'mailgun', 'postmark', 'ses', 'resend'] as const;
export type SmtpProvider = (typeof smtpProviders)[number];

const ids = ({ messageId, businessId }: OutgoingMessage) => [
  [metadataNames.messageId, messageId] as const,
  [metadataNames.businessId, String(businessId)] as const,
];

/**
 * The headers by which a provider takes metadata with a mail, and gives it back with each event.
 *
 * - Mailgun: https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-attachments (user variables)
 * - Postmark: https://postmarkapp.com/support/article/1125-custom-metadata-faq (names of 20 characters, values of
 *   80 at most); `X-PM-KeepID` lets our Message-ID stand
 * - SES: https://docs.aws.amazon.com/ses/latest/dg/event-publishing-send-email.html (letters, digits, - and _); it
 *   puts its own Message-ID in place of ours
 * - Resend: https://resend.com/docs/dashboard/emails/idempotency-keys. One key for a message: what was taken within
 *   a day is not sent again. Only a retry that somebody asked for has a key of its own, or it would be swallowed. Its events bring no metadata
 *   of a mail that came by SMTP, so they are matched by Message-ID and by Resend's own id.
 */
export const providerHeaders: Record<SmtpProvider, (message: OutgoingMessage) => Record<string, string>> = {
  smtp: () => ({}),
  mailgun: (message) => ({ 'X-Mailgun-Variables': JSON.stringify(Object.fromEntries(ids(message))) }),
  postmark: (message) => ({
    ...Object.fromEntries(ids(message).map(([name, value]) => [`X-PM-Metadata-${name}`, value])),
    'X-PM-KeepID': 'true',
  }),
  ses: (message) => ({
    'X-SES-MESSAGE-TAGS': ids(message)
      .map(([name, value]) => `${name}=${value}`)
      .join(', '),
  }),
  resend: ({ messageId, supersededAttempts }) => ({
    'Resend-Idempotency-Key': `omega/${messageId}${supersededAttempts > 0 ? `/${supersededAttempts}` : ''}`,
  }),
};
