/** Runs after `npm ci`: makes the empty embedded database that first starts and tests copy. */
import { makeTemplate } from '../server/core/db/index.ts';

try {
  await makeTemplate();
} catch (error) {
  // Not needed, only faster: without it the first start makes its database itself.
  console.warn(`The template of the embedded database could not be made: ${(error as Error).message}`);
}
