import type { Carrier } from '../../channels/index.ts';
import { systemDomainLookup } from './domain-checks.ts';
import { smtpProviders } from './provider-headers.ts';
import { createSendGridCarrier } from './sendgrid-carrier.ts';
import { createSmtpCarrier, type MailCarrierOptions } from './smtp-carrier.ts';

/** Every carrier of mail. Those that keep connections have a `close`. */
export function createMailCarriers(options: Omit<MailCarrierOptions, 'domains'>): Carrier[] {
  const all = { ...options, domains: systemDomainLookup() };
  return [...smtpProviders.map((provider) => createSmtpCarrier(provider, all)), createSendGridCarrier(all)];
}
