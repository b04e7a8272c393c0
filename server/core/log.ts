import { type Logger, pino } from 'pino';

export type Log = Logger;

/**
 * One line a thing: JSON for machines, columns where a person's terminal reads it. Headers and
 * bodies are never logged, so no key or text of a client can get there.
 */
export function createLog(options: { level: string; pretty: boolean }): Log {
  const stream = options.pretty
    ? {
        transport: {
          target: 'pino-pretty',
          options: {
            colorize: true,
            translateTime: 'SYS:HH:MM:ss',
            ignore: 'pid,hostname',
            singleLine: true,
          },
        },
      }
    : {};
  return pino({
    level: options.level,
    base: { service: 'omega' },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...stream,
  });
}
