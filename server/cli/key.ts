import { Command, InvalidArgumentError, Option } from 'commander';
import type { Scope } from '../../contract/index.ts';
import { ConfigError, readConfig } from '../config.ts';
import type { Db } from '../core/db/index.ts';
import { withDatabase } from './open-database.ts';
import { readBusinessId } from './read-business-id.ts';
import { aligned } from './terminal.ts';

const scopes: readonly Scope[] = ['read', 'send', 'manage'];

/** `omega key create|list|revoke`. */
export function keyCommand(): Command {
  const key = new Command('key')
    .summary('make, list and revoke API keys')
    .description(
      'Makes, lists and revokes API keys. Only their hashes are kept: a key is shown once, when it is made. On the embedded database, stop Omega first: it takes one process at a time.',
    )
    .addHelpText(
      'after',
      `
Examples:
  omega key create --business 1001 --name website --scopes read,send --expires 90d
  omega key list
  omega key revoke 0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11`,
    );
  return key.addCommand(createCommand()).addCommand(listCommand()).addCommand(revokeCommand());
}

interface CreateOptions {
  business?: number;
  name: string;
  scopes: Scope[];
  expires?: Date;
}

function createCommand(): Command {
  return new Command('create')
    .summary('make a key and show it once')
    .description(
      'Makes a key: for one business with --business, else a platform key, which sees every business and onboards new ones. The key alone goes to standard output, so a script can take it.',
    )
    .option('--business <id>', 'the business it is for; a platform key when left out', readBusinessId)
    .option('--name <name>', 'what it is for, shown in the list', readName, 'made by hand')
    .addOption(
      new Option('--scopes <scopes>', 'what it may do: read, send, manage')
        .argParser(readScopes)
        .default([...scopes], 'all three'),
    )
    .option('--expires <when>', 'when it ends: 12h, 90d, 52w or a date such as 2027-01-31', readExpiry)
    .addHelpText(
      'after',
      `
Examples:
  omega key create --business 1001
  omega key create --business 1001 --name reports --scopes read --expires 90d
  KEY=$(omega key create --name deploy)`,
    )
    .action((options: CreateOptions) => withDatabase(readConfig(), ({ db }) => create(db, options)));
}

async function create(db: Db, { business, name, scopes, expires }: CreateOptions): Promise<void> {
  const { createKey } = await import('../access/index.ts');
  if (business !== undefined) {
    const { businessFor } = await import('../businesses/index.ts');
    await businessFor(db, business);
  }
  const { keyId, key } = await createKey(db, {
    businessId: business ?? null,
    name,
    scopes,
    now: new Date(),
    expiresAt: expires ?? null,
  });
  const whose = business === undefined ? 'A platform key' : `A key of business ${business}`;
  const until = expires ? ` until ${expires.toISOString()}` : '';
  process.stderr.write(
    `${whose} (${scopes.join(', ')})${until}, with the id ${keyId}. It is shown this once:\n`,
  );
  process.stdout.write(`${key}\n`);
}

function listCommand(): Command {
  return new Command('list')
    .summary('list the keys, without the keys themselves')
    .description(
      'Lists the keys by their ids, with what they may do and when they were last used. The key itself is never shown: its first and last four characters tell which one it is.',
    )
    .option('--business <id>', 'only those of this business', readBusinessId)
    .addHelpText('after', '\nExamples:\n  omega key list\n  omega key list --business 1001')
    .action((options: { business?: number }) =>
      withDatabase(readConfig(), async ({ db }) => {
        const { listKeys } = await import('../access/index.ts');
        const rows = await listKeys(db, options.business);
        const now = new Date();
        const cells = rows.map((row) => [
          row.key_id,
          row.business_id === null ? 'platform' : `business ${row.business_id}`,
          row.name,
          row.scopes.join(','),
          row.hint,
          dayOf(row.created_at),
          row.last_used_at ? minuteOf(row.last_used_at) : 'never',
          stateOf(row, now),
        ]);
        const heading = ['ID', 'FOR', 'NAME', 'SCOPES', 'KEY', 'MADE', 'LAST USED', 'STATE'];
        process.stdout.write(
          rows.length === 0 ? 'There are no keys.\n' : `${aligned([heading, ...cells]).join('\n')}\n`,
        );
      }),
    );
}

function revokeCommand(): Command {
  return new Command('revoke')
    .summary('end a key for good')
    .description(
      'Ends a key: its next request is refused, and so are the sessions made with it. Take the id from `omega key list`.',
    )
    .argument('<key-id>', 'the id of the key, not the key', readKeyId)
    .addHelpText('after', '\nExamples:\n  omega key revoke 0198c2a4-7b1e-7c3a-9f57-2f4a1c9d0e11')
    .action((keyId: string) =>
      withDatabase(readConfig(), async ({ db }) => {
        const { revokeKey } = await import('../access/index.ts');
        if (!(await revokeKey(db, keyId, new Date()))) {
          throw new ConfigError(
            `There is no key ${keyId} that still holds: take the id from \`${readConfig().program} key list\`.`,
          );
        }
        process.stdout.write(`Revoked ${keyId}.\n`);
      }),
    );
}

function stateOf(row: { revoked_at: Date | null; expires_at: Date | null }, now: Date): string {
  if (row.revoked_at) return `revoked ${dayOf(row.revoked_at)}`;
  if (!row.expires_at) return 'holds';
  return `${row.expires_at <= now ? 'ended' : 'holds until'} ${dayOf(row.expires_at)}`;
}

const dayOf = (at: Date) => at.toISOString().slice(0, 10);
const minuteOf = (at: Date) => `${at.toISOString().slice(0, 16).replace('T', ' ')}Z`;

function readName(text: string): string {
  const name = text.trim();
  if (name.length > 0 && name.length <= 200 && !/\p{Cc}/u.test(name)) return name;
  throw new InvalidArgumentError('A name has 1 to 200 characters on one line.');
}

function readScopes(text: string): Scope[] {
  const named = text.split(',').map((scope) => scope.trim());
  const wrong = named.filter((scope) => !(scopes as readonly string[]).includes(scope));
  if (wrong.length > 0) throw new InvalidArgumentError('Scopes are read, send and manage, with commas.');
  return scopes.filter((scope) => named.includes(scope));
}

const hoursOf = { h: 1, d: 24, w: 168 } as const;

function readExpiry(text: string): Date {
  const [, count, unit] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  const at = unit
    ? new Date(Date.now() + Number(count) * hoursOf[unit as keyof typeof hoursOf] * 3_600_000)
    : /^\d{4}-\d\d-\d\d/.test(text)
      ? new Date(text)
      : new Date(Number.NaN);
  if (Number.isNaN(at.getTime()))
    throw new InvalidArgumentError('Write 12h, 90d, 52w or a date such as 2027-01-31.');
  if (at.getTime() <= Date.now()) throw new InvalidArgumentError('That is over already.');
  return at;
}

function readKeyId(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text;
  throw new InvalidArgumentError('That is no id of a key: `omega key list` shows them.');
}
