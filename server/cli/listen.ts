import { type Config, ConfigError } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Omega } from '../omega.ts';

/** Opens the port, and that of SMTP. Before any key is made: a port that is taken must not cost the only look at one. */
export async function listen(omega: Omega, config: Config, log: Log): Promise<void> {
  const { level } = log;
  // The banner says where it listens; machines read it in the log.
  if (config.prettyLog) log.level = 'warn';
  await omega.http!.listen({ port: config.port, host: config.host });
  await omega.smtp?.listen().catch((error: NodeJS.ErrnoException) => {
    const { host, port } = config.smtp!;
    const why =
      error.code === 'EACCES'
        ? 'Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): take another one, and lead port 25 to it.'
        : error.code === 'EADDRINUSE'
          ? 'Something else listens there: stop it, or take another port.'
          : `It says ${error.code ?? error.message}.`;
    throw new ConfigError(`OMEGA_SMTP_PORT: ${host}:${port} cannot be opened. ${why}`);
  });
  log.level = level;
}
