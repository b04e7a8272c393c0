import type { Db, Tx } from '../core/db/index.ts';
import { notFound } from '../core/fault.ts';

/** The business's row. The caller may see it (the tenant wall was passed); a platform key may name one that is not there. */
export async function businessFor(db: Db | Tx, businessId: number) {
  const row = await db
    .selectFrom('businesses')
    .selectAll()
    .where('business_id', '=', businessId)
    .executeTakeFirst();
  if (!row) throw notFound('business', 'Bring it in with POST /business/onboard.');
  return row;
}

/**
 * The same, held against every other change of what the business is made of: onboarding takes it first
 * too. Who takes it here may lock nothing of clients, conversations or messages after it.
 */
export async function lockBusiness(tx: Tx, businessId: number) {
  const row = await tx
    .selectFrom('businesses')
    .selectAll()
    .where('business_id', '=', businessId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!row) throw notFound('business', 'Bring it in with POST /business/onboard.');
  return row;
}

export async function locationMustExist(db: Db | Tx, businessId: number, locationId: number): Promise<void> {
  const row = await db
    .selectFrom('locations')
    .select('location_id')
    .where('business_id', '=', businessId)
    .where('location_id', '=', locationId)
    .executeTakeFirst();
  if (!row) throw notFound('location', 'Check location_id.');
}
