import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from '../config.js';

/**
 * The process's log, on stderr: JSON lines, or words and colours where a person looks on.
 * @param aside keeps a live line out of the way of what is written
 */
export function createLogger(level: LogLevel, aside?: (write: () => void) => void): Logger {
  const options = { level, base: null };
  if (!process.stderr.isTTY) return pino(options, pino.destination({ dest: 2, sync: true }));
  const words = pretty.prettyFactory({
    colorize: true,
    ignore: 'component',
    translateTime: 'HH:MM:ss',
  });
  return pino(options, {
    write(line: string) {
      const write = () => void process.stderr.write(words(line));
      if (aside === undefined) write();
      else aside(write);
    },
  });
}
