import type { Carrier } from '../../channels/index.ts';
import { systemDomainLookup } from './domain-checks.ts';
import { smtpProviders } from './provider-headers.ts';
import { createSendGridCarrier } from './sendgrid-carrier.ts';
import { createSmtpCarrier, type MailCarrierOptions } from './smtp-carrier.ts';

/** Every carrier of mail, and how to end their connections. */
export function createMailCarriers(options: Omit<MailCarrierOptions, 'domains'>): {
  carriers: Carrier[];
  close(): void;
} {
  const all = { ...options, domains: systemDomainLookup() };
  const smtp = smtpProviders.map((provider) => createSmtpCarrier(provider, all));
  return {
    carriers: [...smtp, createSendGridCarrier(all)],
    close() {
      for (const carrier of smtp) carrier.close();
    },
  };
}
