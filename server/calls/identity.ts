/**
 * Whom a browser is at Twilio: one staff member of one business. Letters, digits and underscores are all that
 * every Voice SDK takes (https://www.twilio.com/docs/voice/twiml/client).
 */
export interface Identity {
  businessId: number;
  staffId: number;
}

export function identityOf({ businessId, staffId }: Identity): string {
  return `b${businessId}_s${staffId}`;
}

/** @param address as Twilio writes it: `client:b1001_s12345`. @returns null for what is none of ours */
export function readIdentity(address: string | undefined): Identity | null {
  const [, business, staff] = /^client:b([1-9][0-9]{0,15})_s([1-9][0-9]{0,15})$/.exec(address ?? '') ?? [];
  const identity = { businessId: Number(business), staffId: Number(staff) };
  return Number.isSafeInteger(identity.businessId) && Number.isSafeInteger(identity.staffId)
    ? identity
    : null;
}

/** Whether the caller is a browser (any Voice SDK) and no phone. */
export function isClient(address: string | undefined): boolean {
  return address?.startsWith('client:') ?? false;
}
