import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** What OMEGA_SECRET is for: each use has a key of its own, derived by HKDF (RFC 5869). */
export interface Secrets {
  /** Encrypts for the database (AES-256-GCM). `about` binds the text to its place: it opens nowhere else. */
  seal(plain: string, about: string): string;
  /** @throws where the text was changed, moved, or sealed with another secret */
  open(sealed: string, about: string): string;
  /** A signature over `text` for one purpose, base64url, 128 bits. */
  sign(purpose: string, text: string): string;
  isSigned(purpose: string, text: string, signature: string): boolean;
}

export function createSecrets(secret: string): Secrets {
  const keyFor = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, '', `omega ${purpose}`, 32));
  const sealingKey = keyFor('seal');
  const signingKeys = new Map<string, Buffer>();
  const sign = (purpose: string, text: string): string => {
    let key = signingKeys.get(purpose);
    if (!key) {
      key = keyFor(`sign ${purpose}`);
      signingKeys.set(purpose, key);
    }
    return createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('base64url');
  };
  return {
    seal(plain, about) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce).setAAD(Buffer.from(about));
      const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return `v1.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`;
    },
    open(sealed, about) {
      if (!sealed.startsWith('v1.')) throw new Error('Not a sealed text of this version');
      const bytes = Buffer.from(sealed.slice(3), 'base64url');
      const decipher = createDecipheriv('aes-256-gcm', sealingKey, bytes.subarray(0, 12), {
        authTagLength: 16,
      })
        .setAAD(Buffer.from(about))
        .setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
    },
    sign,
    isSigned: (purpose, text, signature) => sameText(sign(purpose, text), signature),
  };
}

/** Compares in a time that does not depend on where they differ. */
export function sameText(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Shorter ones stand in any text. */
const shortestHidden = 4;

/** What a server of others said, which may repeat what it was told, without these secrets: it is kept and shown. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= shortestHidden)
    .reduce((clean, secret) => clean.replaceAll(secret, '[hidden]'), text);
}

/** A credential that was drawn at random (never a password): SHA-256 is enough to keep it by. */
export function hashOfToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** A new credential of 256 random bits. */
export function newToken(prefix: string): string {
  return prefix + randomBytes(32).toString('base64url');
}
