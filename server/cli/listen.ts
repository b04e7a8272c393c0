import type { Config } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Omega } from '../omega.ts';

/** Opens the port, and that of SMTP. Before any key is made: a port that is taken must not cost the only look at one. */
export async function listen(omega: Omega, config: Config, log: Log): Promise<void> {
  const { level } = log;
  // The banner says where it listens; machines read it in the log.
  if (config.prettyLog) log.level = 'warn';
  await omega.http!.listen({ port: config.port, host: config.host });
  await omega.smtp?.listen();
  log.level = level;
}
