/** A logger that writes one JSON object a line. */
import type { Fields, Logger } from '../logger.ts';
import { FirmamentError } from '../errors.ts';
import type { Io } from './io.ts';

export function jsonLogger(io: Io): Logger {
  const write = (level: string, message: string, fields: Fields = {}): void => {
    io.stderr(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }, plain));
  };
  return {
    debug: () => undefined,
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
  };
}

function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return value.toHex();
  if (value instanceof FirmamentError) return `${value.code}: ${value.message}`;
  if (value instanceof Error) return value.stack ?? value.message;
  return value;
}
