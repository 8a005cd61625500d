/** The engine's process: started, listened to, stopped. It ends by itself when the application's socket closes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '../../bytes.ts';
import type { Logger } from '../../logger.ts';
import { readIfThere, replaceDurably } from '../durable-file.ts';

export interface EngineProcessOptions {
  readonly binary: string;
  readonly home: string;
  readonly logger: Logger;
  /** The engine gave up consensus: its process lives on and its height stands still. */
  readonly onConsensusFailure: (line: string) => void;
  /** It ended, by itself or because it was told to. `last`: the end of what it wrote. */
  readonly onExit: (code: number | null, signal: NodeJS.Signals | null, last: string) => void;
}

export interface EngineProcess {
  readonly pid: number | undefined;
  /** SIGTERM, and SIGKILL when that does not end it in `graceMs`. Resolves once it ended. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL. */
  kill(): void;
}

const LAST_LINES = 40;
const MAX_LINE = 4096;

/** Starts the engine on this home. */
export function startEngine(options: EngineProcessOptions): EngineProcess {
  const { binary, home, logger, onConsensusFailure, onExit } = options;
  const child = spawn(binary, ['start', '--home', home], {
    cwd: home,
    env: { HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const last: string[] = [];
  const ended = Promise.withResolvers<void>();
  const heard = (line: string): void => {
    const text = line.slice(0, MAX_LINE);
    last.push(text);
    if (last.length > LAST_LINES) last.shift();
    if (text.includes('CONSENSUS FAILURE')) {
      logger.error('the engine gave up consensus', { line: text });
      onConsensusFailure(text);
    } else logger.debug('engine', { line: text });
  };
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', heard);
  let over = false;
  const end = (code: number | null, signal: NodeJS.Signals | null): void => {
    if (over) return;
    over = true;
    ended.resolve();
    onExit(code, signal, last.join('\n'));
  };
  child.once('error', (error) => {
    heard(String(error));
    end(null, null);
  });
  child.once('close', end);
  if (child.pid !== undefined) {
    try {
      replaceDurably(pidFile(home), utf8(String(child.pid)));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }
  return {
    pid: child.pid,
    kill: () => void child.kill('SIGKILL'),
    stop: (graceMs = 5_000) => stopped(child, ended.promise, graceMs),
  };
}

async function stopped(child: ChildProcess, ended: Promise<void>, graceMs: number): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(timer);
}

function pidFile(home: string): string {
  return join(home, 'engine.pid');
}

/**
 * Ends an engine that an earlier run left behind: one killed before its engine had connected to it. Two engines on one
 * home would sign with one key.
 */
export async function endOrphan(home: string, logger: Logger): Promise<void> {
  const pid = Number(new TextDecoder().decode(readIfThere(pidFile(home)) ?? utf8('0')));
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  for (let i = 0; i < 100 && isEngineOf(pid, home); i++) {
    if (i === 0) logger.warn('an engine of an earlier run is still there: it is ended', { pid });
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      return;
    }
    await sleep(50);
  }
}

// A number alone may be another process's by now: only one that was started on this home is meant.
function isEngineOf(pid: number, home: string): boolean {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return args.includes('--home') && args.includes(home) && args.includes('start');
  } catch {
    return false;
  }
}
