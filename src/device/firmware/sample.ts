/**
 * The sample firmware: a small real program that the bootloader runs by the boot contract of
 * docs/spec/device.md. It prints its version as a JSON line, answers the health check until it is
 * ended, and ends by itself when its standard input ends.
 */
import { sha256 } from '#crypto';
import { base64, concat, u64, utf8 } from '../../bytes.ts';
import { check } from '../../errors.ts';

/** How a broken sample fails: says that it is not healthy, ends at once, or never answers. */
export type Breakage = 'unhealthy' | 'crash' | 'silent';

export interface SampleOptions {
  readonly version: string;
  readonly model: string;
  /** Bytes; padded to exactly this with noise that depends on the version and model alone. */
  readonly size?: number;
  /** `true` is `unhealthy`. */
  readonly broken?: boolean | Breakage;
}

const MAX_BYTES = 256 * 1024 * 1024;

/**
 * The same options give the same bytes.
 * Errors: DEVICE_IMAGE_TOO_LARGE; DEVICE_IMAGE_CORRUPT when the size is too small for the program.
 */
export function buildSampleFirmware(options: SampleOptions): Uint8Array {
  const program = utf8(source(options));
  const { size = program.length } = options;
  check(size <= MAX_BYTES, 'DEVICE_IMAGE_TOO_LARGE');
  check(size >= program.length, 'DEVICE_IMAGE_CORRUPT', 'smaller than the program itself', {
    size,
    least: program.length,
  });
  return concat(program, noise(`${options.model} ${options.version}`, size - program.length));
}

function source({ version, model, broken = false }: SampleOptions): string {
  const breakage = broken === true ? 'unhealthy' : broken;
  // The program ends with a line comment, so that whatever base64 follows it stays a comment.
  return [
    '#!firmament-app 1',
    `'use strict';`,
    `const version = ${literal(version)};`,
    `const model = ${literal(model)};`,
    `const breakage = ${literal(breakage === false ? '' : breakage)};`,
    `process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();`,
    `process.stdout.on('error', () => process.exit(0));`,
    `console.log(JSON.stringify({ model, version }));`,
    `if (breakage === 'crash') process.exit(3);`,
    `const answer = JSON.stringify({ version, healthy: breakage !== 'unhealthy' }) + '\\n';`,
    `require('node:net')`,
    `  .createServer((socket) => {`,
    `    socket.on('error', () => undefined);`,
    `    if (breakage !== 'silent') socket.end(answer);`,
    `  })`,
    `  .listen(process.env.FIRMAMENT_HEALTH);`,
    '//',
  ].join('\n');
}

// JSON is JavaScript; U+2028 and U+2029 stand escaped so that every reader sees one line.
function literal(value: string): string {
  return JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

// Does not compress, so that a transfer costs what it would with real firmware.
function noise(seed: string, length: number): Uint8Array {
  const BLOCK = 48; // bytes of hashes for 64 characters of base64
  const padding = new Uint8Array(length);
  const prefix = utf8(seed);
  for (let at = 0, i = 0n; at < length; at += 64, i++) {
    const hash = sha256(concat(u64(i), prefix));
    const text = utf8(base64(concat(hash, sha256(hash)).subarray(0, BLOCK)));
    padding.set(text.subarray(0, length - at), at);
  }
  return padding;
}
