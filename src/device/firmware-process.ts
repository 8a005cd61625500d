/**
 * Runs firmware as a process of its own, by the boot contract of docs/spec/device.md: it listens on the
 * unix socket that FIRMAMENT_HEALTH names, answers one line of JSON a connection, and ends
 * when its standard input ends, so that nothing outlives the bootloader.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from '../bytes.ts';
import { check, fail } from '../errors.ts';

/** What firmware says of itself. */
export interface Health {
  readonly version: string;
  readonly healthy: boolean;
}

/** Firmware that was started. */
export interface RunningFirmware {
  readonly pid: number;
  /** Resolves, and never rejects, with how it ended. */
  readonly exited: Promise<string>;
  /** Asks once. Errors: DEVICE_FIRMWARE_SILENT. */
  health(): Promise<Health>;
  /** Ends it, by force when it does not listen; resolves when it is gone. */
  stop(): Promise<void>;
}

/** Starts the firmware in `file`; `onLine` gets what it prints, bounded. Errors: DEVICE_FIRMWARE_SILENT. */
export type FirmwareRunner = (
  file: string,
  onLine: (line: string) => void,
) => Promise<RunningFirmware>;

const FIRST_LINE = '#!firmament-app 1';
/** As many bytes of an image as `isRunnable` needs. */
export const FIRST_LINE_BYTES = FIRST_LINE.length + 1;
const MAX_ANSWER = 4096;
const ANSWER_MS = 1000;
const STOP_MS = 1000;
const MAX_SOCKET_PATH = 100; // sun_path has 104 bytes on macOS, 108 on Linux

/** By its first bytes: firmware that this bootloader runs. Everything else is opaque. */
export function isRunnable(start: Uint8Array): boolean {
  return String.fromCharCode(...start.subarray(0, FIRST_LINE_BYTES)) === `${FIRST_LINE}\n`;
}

/** Runs firmware with a Node executable. It gets no environment but the health socket's path. */
export function nodeRunner(runtime: string): FirmwareRunner {
  return async (file, onLine) => {
    const socket = await socketPath(dirname(file));
    const child = spawn(runtime, [file], {
      cwd: dirname(file),
      env: { FIRMAMENT_HEALTH: socket.path },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => undefined); // it may end first
    readLines(child.stdout, onLine);
    readLines(child.stderr, onLine);
    const exited = whenEnded(child).then(async (how) => {
      await socket.remove().catch(() => undefined);
      return how;
    });
    const { pid } = child;
    if (pid === undefined) return fail('DEVICE_FIRMWARE_SILENT', await exited);
    return {
      pid,
      exited,
      health: () => askHealth(socket.path),
      async stop() {
        child.kill('SIGTERM');
        const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
        await exited;
        clearTimeout(force);
      },
    };
  };
}

// A fresh folder a start: firmware of a start before that is still ending can't remove this one's socket.
async function socketPath(folder: string): Promise<{ path: string; remove(): Promise<void> }> {
  const short = folder.length + '/run-xxxxxx/health'.length <= MAX_SOCKET_PATH;
  if (short)
    for (const name of await readdir(folder))
      if (name.startsWith('run-')) await rm(join(folder, name), { recursive: true, force: true });
  const run = await mkdtemp(join(short ? folder : tmpdir(), 'run-'));
  return {
    path: join(run, 'health'),
    remove: () => rm(run, { recursive: true, force: true }),
  };
}

function whenEnded(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(`did not start: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal ?? `exit ${code}`));
  });
}

// What firmware prints is not trusted: lines are cut, and nothing is kept of an endless one.
function readLines(stream: Readable, onLine: (line: string) => void): void {
  const MAX_LINE = 1024;
  let line = '';
  stream.setEncoding('utf8');
  stream.on('error', () => undefined);
  stream.on('data', (chunk: string) => {
    const parts = chunk.split('\n');
    for (const [i, part] of parts.entries()) {
      line = (line + part).slice(0, MAX_LINE);
      if (i === parts.length - 1) break;
      onLine(line);
      line = '';
    }
  });
}

/** Errors: DEVICE_FIRMWARE_SILENT. */
async function askHealth(path: string): Promise<Health> {
  const line = await new Promise<Uint8Array>((resolve, reject) => {
    const socket = connect(path);
    const chunks: Uint8Array[] = [];
    let length = 0;
    const end = (error?: Error): void => {
      socket.destroy();
      if (error) reject(error);
      else resolve(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])));
    };
    socket.setTimeout(ANSWER_MS, () => end(new Error('no answer in time')));
    const late = setTimeout(() => end(new Error('no whole answer in time')), ANSWER_MS);
    socket.on('close', () => clearTimeout(late));
    socket.on('error', end);
    socket.on('end', () => end());
    socket.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length > MAX_ANSWER) end(new Error('too long an answer'));
      else if (chunk.includes(0x0a)) end();
    });
  }).catch((cause: unknown) =>
    fail('DEVICE_FIRMWARE_SILENT', cause instanceof Error ? cause.message : undefined, {}, cause),
  );
  return parseHealth(line);
}

/** Errors: DEVICE_FIRMWARE_SILENT. */
export function parseHealth(line: Uint8Array): Health {
  let value: unknown;
  try {
    value = JSON.parse(text(line));
  } catch (cause) {
    return fail('DEVICE_FIRMWARE_SILENT', 'the answer is not JSON', {}, cause);
  }
  check(typeof value === 'object' && value !== null, 'DEVICE_FIRMWARE_SILENT', 'not an object');
  const { version, healthy } = value as { version?: unknown; healthy?: unknown };
  check(
    typeof version === 'string' && version.length <= 64 && typeof healthy === 'boolean',
    'DEVICE_FIRMWARE_SILENT',
    'the answer lacks version or healthy',
  );
  return { version, healthy };
}
