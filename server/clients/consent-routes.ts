import { sql } from 'kysely';
import { businessFor } from '../businesses/index.ts';
import { readEmail, readPhone } from '../core/addresses.ts';
import type { Db } from '../core/db/index.ts';
import { recordEvents } from '../core/events/index.ts';
import { Fault, invalid } from '../core/fault.ts';
import { answer, type Binding, type Cursors, pageOf, read, write } from '../core/http/index.ts';
import type { Secrets } from '../core/secrets.ts';
import { consentHash, isConsentHash, writeConsents } from './consent.ts';
import { resolveClients, unknownClient } from './resolve.ts';

interface LedgerRow {
  consent_id: string;
  channel: string;
  address: string | null;
  category: 'transactional' | 'marketing' | 'all';
  state: 'granted' | 'revoked';
  source: string;
  evidence: Record<string, unknown>;
  client_id: number | null;
  created_at: Date;
}

export function consentRoutes({ cursors, secrets }: { cursors: Cursors; secrets: Secrets }): Binding[] {
  return [
    read('listConsents', async (db, { businessId, query }) => {
      const business = await businessFor(db, businessId);
      const { cursor, limit = 25, ...named } = query;
      const filters = {
        ...named,
        address: named.address === undefined ? undefined : anyAddress(named.address, business.country),
      };
      const about = ['listConsents', businessId, filters];
      const place = cursor === undefined ? null : cursors.decode(about, cursor);
      const rows = await listConsents(
        db,
        businessId,
        filters,
        secrets,
        limit,
        place && { at: String(place[0]), id: String(place[1]) },
      );
      const page = pageOf(
        rows,
        limit,
        (at) => cursors.encode(about, at),
        (row) => [row.created_at.toISOString(), row.consent_id],
      );
      return answer(200, {
        data: page.rows.map(present),
        next_cursor: page.next_cursor,
        has_more: page.has_more,
      });
    }),

    write('recordConsent', async (tx, { businessId, body, now, origin }) => {
      const business = await businessFor(tx, businessId);
      const kind = body.channel === 'email' ? ('email' as const) : ('phone' as const);
      if (body.client_id === undefined && body.address === undefined) {
        throw new Fault('invalid_parameters', 'Name whose consent it is: client_id or address.', {
          errors: [{ path: 'client_id', message: 'is required (or address)', code: 'required' }],
        });
      }
      let address = body.address === undefined ? null : addressOf(kind, body.address, business.country);
      let clientId: number | null = null;
      if (body.client_id !== undefined) {
        const [client] = await resolveClients(tx, now, [{ businessId, clientId: body.client_id, kind }]);
        if (!client?.found) throw unknownClient(client!, 'Upsert the client first.');
        // Not the id that was named, where that client was merged into another.
        clientId = client.clientId;
        address ??= client.address;
      }
      if (address === null) {
        const detail = `The client has no address for ${body.channel}. Send it as \`address\`.`;
        throw new Fault('no_address', detail, {
          errors: [{ path: 'address', message: detail, code: 'required' }],
        });
      }
      const entry = {
        businessId,
        channel: body.channel,
        address,
        category: body.category ?? ('all' as const),
        state: body.state,
        source: body.source,
        evidence: { ...body.evidence },
        clientId,
      };
      const [consentId] = await writeConsents(tx, now, [entry]);
      await recordEvents(tx, now, [
        {
          businessId,
          type: body.state === 'revoked' ? 'consent.revoked' : 'consent.granted',
          by: origin,
          data: {
            client_id: entry.clientId,
            channel: entry.channel,
            address,
            category: entry.category,
            source: entry.source,
          },
        },
      ]);
      const { businessId: _, clientId: __, ...shown } = entry;
      return answer(201, {
        consent_id: consentId!,
        ...shown,
        client_id: clientId,
        created_at: now.toISOString(),
      });
    }),
  ];
}

function addressOf(kind: 'email' | 'phone', text: string, country: string): string {
  if (kind === 'email') {
    const email = readEmail(text);
    if (!email.ok) throw invalid('address', email.message, 'invalid_format');
    return email.email;
  }
  const phone = readPhone(text, country);
  if (!phone.ok) throw invalid('address', phone.message, 'invalid_format');
  return phone.e164;
}

/** In a filter the channel may be left out: what reads as mail is mail. */
function anyAddress(text: string, country: string): string {
  return addressOf(text.includes('@') ? 'email' : 'phone', text, country);
}

/** A page of the ledger, newest first, and one row more. */
async function listConsents(
  db: Db,
  businessId: number,
  filters: { client_id?: number; address?: string; channel?: string; state?: string },
  secrets: Secrets,
  limit: number,
  after: { at: string; id: string } | null,
): Promise<LedgerRow[]> {
  const where = [sql`business_id = ${businessId}`];
  if (filters.client_id !== undefined) {
    where.push(sql`client_id = coalesce(
      (select merged_into from clients where business_id = ${businessId} and client_id = ${filters.client_id}),
      ${filters.client_id}::bigint)`);
  }
  if (filters.address !== undefined) where.push(addressIs(filters.address, businessId, secrets));
  if (filters.channel !== undefined) where.push(sql`channel = ${filters.channel}`);
  if (filters.state !== undefined) where.push(sql`state = ${filters.state}`);
  if (after) where.push(sql`(created_at, consent_id) < (${after.at}::timestamptz, ${after.id}::uuid)`);
  const { rows } = await sql<LedgerRow>`
    select consent_id, channel, address, category, state, source, evidence, client_id, created_at from consents
    where ${sql.join(where, sql` and `)} order by created_at desc, consent_id desc limit ${limit + 1}`.execute(
    db,
  );
  return rows;
}

/** What stands under the address, or under its hash since a client of it was erased. */
function addressIs(address: string, businessId: number, secrets: Secrets) {
  const channels = address.includes('@') ? ['email'] : ['sms', 'whatsapp', 'voice'];
  const hashes = channels.map((channel) => consentHash(secrets, businessId, channel, address));
  return sql`address in (${sql.join([address, ...hashes])})`;
}

const present = (row: LedgerRow) => ({
  ...row,
  address: row.address === null || isConsentHash(row.address) ? null : row.address,
  created_at: row.created_at.toISOString(),
});
