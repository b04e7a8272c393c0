/** How Twilio marks the channel of an address: https://www.twilio.com/docs/whatsapp/api#using-phone-numbers-with-whatsapp */
const whatsapp = 'whatsapp:';

/** Twilio's address of one of ours. */
export function twilioAddress(channel: string, address: string): string {
  return channel === 'whatsapp' ? whatsapp + address : address;
}

/** Our address of one of Twilio's: without its channel. */
export function addressOf(twilioAddress: string): string {
  return twilioAddress.startsWith(whatsapp) ? twilioAddress.slice(whatsapp.length) : twilioAddress;
}

export function channelOf(twilioAddress: string): 'sms' | 'whatsapp' {
  return twilioAddress.startsWith(whatsapp) ? 'whatsapp' : 'sms';
}
