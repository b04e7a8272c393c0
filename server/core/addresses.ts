import { domainToASCII } from 'node:url';
import {
  AsYouType,
  type CountryCode,
  isSupportedCountry,
  type PhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js';

/** `message` is a predicate for the one who wrote the address: "must be …". It never repeats the input. */
export type Refusal = { ok: false; message: string };
export type ReadPhone = { ok: true; e164: string } | Refusal;
export type ReadEmail = { ok: true; email: string; display: string } | Refusal;
export type ReadSenderAddress =
  | { ok: true; kind: 'phone' | 'short_code' | 'alphanumeric' | 'email'; address: string }
  | Refusal;

/** Longer than any number with its punctuation; the parser is never given a novel, or a million digits. */
const maxPhoneChars = 64;

/** ITU-T E.164, 6.2: fifteen digits at most. The library alone lets some countries' numbers be longer. */
const e164 = /^\+[1-9][0-9]{1,14}$/;

const notAPhone = refuse('must be a phone number, best in international form such as +12125550123');

/**
 * Reads a phone number as people write it, `(212) 555-0123` or `+1 212 555 0123`, into E.164.
 *
 * `country` is ISO 3166 alpha-2, the business's own, in which national forms are read; a country that is not
 * known leaves only the international form. Text around the number, a second number, or an extension (which
 * no text message can reach) is refused rather than guessed at. Whatever is given, it does not throw.
 */
export function readPhone(input: unknown, country: string): ReadPhone {
  if (typeof input === 'string' && input.length > maxPhoneChars) {
    return refuse(`must be at most ${maxPhoneChars} characters long`);
  }
  const phone = parsePhone(input, country);
  if (!phone) return notAPhone;
  if (phone.ext) return refuse('must be a phone number without an extension');
  return { ok: true, e164: phone.number };
}

/**
 * How the E.164 form begins of a number whose beginning is given as people type it: `(202) 555-01` in the
 * US is `+120255501`. Null where that cannot be told.
 */
export function readPhoneBeginning(input: string, country: string): string | null {
  if (input.length > maxPhoneChars) return null;
  const inCountry = country.toUpperCase();
  const typed = new AsYouType(isSupportedCountry(inCountry) ? inCountry : undefined);
  typed.input(input);
  return typed.getNumber()?.number ?? null;
}

/**
 * The length is checked, and not whether the number is in use ("valid"): numbering plans open new ranges
 * faster than any library's data is updated, the carrier knows best, and a client whose number we refuse
 * wrongly cannot be helped, while one that does not exist comes back as `invalid_address`. Numbers for tests
 * (Twilio's +1500555xxxx) pass for the same reason.
 *
 * The result must read as itself. What does not (`00 0…`, a local number without its area code) is a slip
 * of the pen, and would be one client under two numbers.
 */
function parsePhone(input: unknown, country: string): PhoneNumber | undefined {
  if (typeof input !== 'string' || input.length > maxPhoneChars) return undefined;
  const inCountry = country.toUpperCase();
  const defaultCountry: CountryCode | undefined = isSupportedCountry(inCountry) ? inCountry : undefined;
  const phone = parsePhoneNumberFromString(input.trim(), { defaultCountry, extract: false });
  if (!phone?.isPossible() || !e164.test(phone.number)) return undefined;
  const again = parsePhoneNumberFromString(phone.number, { extract: false });
  return again?.number === phone.number && again.isPossible() ? phone : undefined;
}

/**
 * Reads what a business sends from. For `email` that is an email address, for any other channel a phone
 * number, and for `sms` also a short code (3-8 digits) or an alphanumeric sender id: 1-11 characters of
 * A-Z a-z 0-9 and space with at least one letter, the set that all carriers share (3GPP TS 23.040, 9.1.2.5
 * gives the eleven; Twilio alone takes a few signs more).
 */
export function readSenderAddress(channel: string, input: unknown, country: string): ReadSenderAddress {
  if (channel === 'email') {
    const read = readEmail(input);
    return read.ok ? { ok: true, kind: 'email', address: read.email } : read;
  }
  if (channel === 'sms' && typeof input === 'string' && input.length <= maxPhoneChars) {
    const text = input.trim();
    if (isShortCode(text, country)) return { ok: true, kind: 'short_code', address: text };
    if (/[A-Za-z]/.test(text)) {
      return /^[A-Za-z0-9 ]{1,11}$/.test(text)
        ? { ok: true, kind: 'alphanumeric', address: text }
        : refuse('must be 1-11 characters of A-Z, a-z, 0-9 and space, when it is a name');
    }
  }
  const read = readPhone(input, country);
  return read.ok ? { ok: true, kind: 'phone', address: read.e164 } : read;
}

/**
 * Up to six digits are a short code. Seven or eight may be a whole national number (Denmark, Iceland), so here,
 * where two readings compete, it does matter whether the number is one that the country gives out.
 */
function isShortCode(text: string, country: string): boolean {
  if (!/^[0-9]{3,8}$/.test(text)) return false;
  return text.length <= 6 || !parsePhone(text, country)?.isValid();
}

/** RFC 5321, 4.5.3.1.1 and 4.5.3.1.3 (a path of 256 octets holds the address and its angle brackets). */
const maxLocalPart = 64;
const maxEmail = 254;

/** RFC 5322 dot-atom: no quotes, spaces, commas, brackets, so nothing that could begin a second address. */
const localPart = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

const notAnEmail = refuse('must be one email address such as name@example.com');

/**
 * Reads one email address. `email` is what to compare and send to: lower case, with an international domain
 * in its ASCII form (UTS 46). `display` is what was written, without the space around it.
 *
 * A list (`a@b.com,c@d.com`), a name with its address in angle brackets, a quoted local part, an IP address
 * as domain and a local part outside ASCII are refused. The last is for safety as well as for RFC 5321:
 * lower-casing Unicode makes two people's addresses one (the Kelvin sign becomes k).
 */
export function readEmail(input: unknown): ReadEmail {
  if (typeof input !== 'string') return notAnEmail;
  // The display form of an international domain is shorter than its ASCII form, so this refuses nothing good.
  const display = input.length <= 2 * maxEmail ? input.trim() : input;
  if (display.length > maxEmail) return refuse(`must be at most ${maxEmail} characters long`);
  const [local, domain, ...more] = display.split('@');
  if (!local || !domain || more.length > 0) return notAnEmail;
  if (local.length > maxLocalPart) return refuse(`must have at most ${maxLocalPart} characters before the @`);
  if (!localPart.test(local)) return notAnEmail;
  const ascii = readDomain(domain);
  if (!ascii) return notAnEmail;
  const email = `${local.toLowerCase()}@${ascii}`;
  if (email.length > maxEmail) return refuse(`must be at most ${maxEmail} characters long`);
  return { ok: true, email, display };
}

/**
 * `domainToASCII` reads as a browser's address bar does: it decodes %-escapes, cuts at a slash, drops invisible
 * characters and turns 0x7f.1 into 127.0.0.1. So only letters, digits, hyphens and dots go in, and a
 * host name of at least two labels that is not an IP address must come out.
 */
function readDomain(domain: string): string | undefined {
  if (!/^[\p{L}\p{M}\p{N}.-]+$/u.test(domain)) return undefined;
  const ascii = domainToASCII(domain);
  const labels = ascii.split('.');
  const isHostName = labels.length >= 2 && labels.every((part) => label.test(part));
  return isHostName && !/^[0-9]+$/.test(labels.at(-1)!) ? ascii : undefined;
}

function refuse(message: string): Refusal {
  return { ok: false, message };
}
