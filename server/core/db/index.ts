export { DataDirInUse } from './data-dir-lock.ts';
export {
  type Database,
  type DatabaseTarget,
  type Db,
  openDatabase,
  type PoolUse,
  type Tx,
} from './database.ts';
export { appliedMigration, migrate, newestMigration } from './migrate.ts';
export { inSearch } from './search.ts';
export type * from './tables.ts';
export { makeTemplate } from './template.ts';
export {
  databaseWasInTheWay,
  faultOfDatabaseError,
  inTransaction,
  isUniqueViolation,
  onceCommitted,
} from './transaction.ts';
