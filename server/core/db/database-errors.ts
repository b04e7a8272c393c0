const ofDatabase = new WeakSet<Error>();

/** Marks an error of a connection to Postgres: by its code alone it could as well be a carrier's that is not reached. */
export function noteDatabaseError(error: unknown): void {
  if (error instanceof Error) ofDatabase.add(error);
}

export function isDatabaseError(error: unknown): error is Error {
  return error instanceof Error && ofDatabase.has(error);
}
