import { InvalidArgumentError } from 'commander';

export function readBusinessId(text: string): number {
  const id = Number(text);
  if (/^[1-9]\d*$/.test(text) && Number.isSafeInteger(id)) return id;
  throw new InvalidArgumentError('A business id is a whole number from 1 up.');
}
