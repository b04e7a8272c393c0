/**
 * The signed names of mail. They stand in `channels`, since `messages` writes a mail's id down with the mail.
 */
export { mailIdOf, metadataNames, readMailId, readReplyAddress, replyAddress } from '../channels/index.ts';
