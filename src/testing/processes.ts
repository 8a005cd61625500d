/**
 * The commands as processes of their own, for the demo and for crash tests: started by path, spoken to by the
 * JSON lines that they print, ended by their own process id.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** A line of JSON that a command printed. */
export type Json = Readonly<Record<string, unknown>>;

export interface ProcessOptions {
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The program that starts it in its own place, with its arguments: `ip netns exec NAME`. */
  readonly through?: readonly string[];
  /** Another program than the commands, which reads the same arguments. */
  readonly program?: string;
  /** Every JSON line of stdout, as it comes. */
  readonly onEvent?: (event: Json) => void;
  /** Every line of stderr (a node's log: JSON lines). */
  readonly onLog?: (line: string) => void;
}

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A command that runs. Disposing of it stops it. */
export interface RunningCommand extends AsyncDisposable {
  readonly pid: number;
  /** Resolves, and never rejects, once it is gone and its last line was read. */
  readonly ended: Promise<Ended>;
  /**
   * The next event that fits, of those that came after the last one this answered with. Rejects when the process ends
   * before, or after `timeoutMs` (30 s), with the end of its log in the message.
   */
  event(fits: (event: Json) => boolean, timeoutMs?: number): Promise<Json>;
  /** The last lines of its stderr. */
  log(): readonly string[];
  /** SIGKILL: the power goes. Resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and after `graceMs` (10 s) SIGKILL. Resolves when it is gone. */
  stop(graceMs?: number): Promise<Ended>;
}

/** What a command that ran to its end left. */
export interface Finished extends Ended {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** The JSON lines of stdout. */
  readonly events: readonly Json[];
}

const MAIN = join(import.meta.dirname, '../cli/main.ts');
const MAX_EVENTS = 10_000;
const MAX_LOG = 100;

/** Starts `firmament ARGS...`. It ends with this process at the latest (`node start` and `device run` only). */
export function startCommand(
  args: readonly string[],
  options: ProcessOptions = {},
): RunningCommand {
  const child = spawnCommand(args, options, 'pipe');
  const pending: Json[] = [];
  const log: string[] = [];
  let waiting: (() => void) | undefined;
  eachLine(child.stdout as Readable, (line) => {
    const event = parseEvent(line);
    if (!event) return;
    pending.push(event);
    if (pending.length > MAX_EVENTS) pending.shift();
    options.onEvent?.(event);
    waiting?.();
  });
  eachLine(child.stderr as Readable, (line) => {
    log.push(line);
    if (log.length > MAX_LOG) log.shift();
    options.onLog?.(line);
  });
  let gone: Ended | undefined;
  const ended = endOf(child).then((end) => {
    gone = end;
    waiting?.();
    return end;
  });
  const found = (fits: (event: Json) => boolean): Json | undefined => {
    const at = pending.findIndex(fits);
    return at === -1 ? undefined : pending.splice(0, at + 1).at(-1);
  };
  const failure = (why: string): Error =>
    new Error(`firmament ${args.join(' ')}: ${why}\n${log.slice(-20).join('\n')}`);
  return {
    pid: child.pid ?? 0,
    ended,
    async event(fits, timeoutMs = 30_000) {
      if (waiting) throw new Error('one event is waited for at a time');
      const end = performance.now() + timeoutMs;
      try {
        for (;;) {
          const event = found(fits);
          if (event) return event;
          if (gone) throw failure(`ended (${gone.signal ?? gone.code}) before the event`);
          const left = end - performance.now();
          if (left <= 0) throw failure(`no such event in ${timeoutMs} ms`);
          const { promise, resolve } = Promise.withResolvers<void>();
          waiting = resolve;
          const timer = setTimeout(resolve, left);
          await promise;
          clearTimeout(timer);
        }
      } finally {
        waiting = undefined;
      }
    },
    log: () => [...log],
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };

  async function stop(graceMs = 10_000): Promise<Ended> {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
    try {
      return await ended;
    } finally {
      clearTimeout(force);
    }
  }
}

/** Runs `firmament ARGS...` to its end, at most `timeoutMs` (120 s): then it is killed and this rejects. */
export async function runCommand(
  args: readonly string[],
  options: ProcessOptions & { readonly timeoutMs?: number } = {},
): Promise<Finished> {
  const { timeoutMs = 120_000 } = options;
  const child = spawnCommand(args, options, 'ignore');
  const stdout: string[] = [];
  const stderr: string[] = [];
  eachLine(child.stdout as Readable, (line) => {
    stdout.push(line);
    const event = parseEvent(line);
    if (event) options.onEvent?.(event);
  });
  eachLine(child.stderr as Readable, (line) => {
    stderr.push(line);
    options.onLog?.(line);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  const ended = await endOf(child);
  clearTimeout(timer);
  if (late)
    throw new Error(
      `firmament ${args.join(' ')}: not done in ${timeoutMs} ms\n${stderr.join('\n')}`,
    );
  const events = stdout.map(parseEvent).filter((event) => event !== undefined);
  return { ...ended, stdout, stderr, events };
}

/** `firmament node start CONFIG`, listening when this resolves. */
export async function startNodeProcess(
  config: string,
  options: ProcessOptions & { readonly flags?: readonly string[] } = {},
): Promise<RunningCommand> {
  const node = startCommand(['node', 'start', config, ...(options.flags ?? [])], options);
  try {
    await node.event((event) => typeof event['port'] === 'number');
    return node;
  } catch (error) {
    await node.kill();
    throw error;
  }
}

/**
 * `firmament device run FOLDER`, booted when this resolves. Then each round prints an event of type `result`:
 * {outcome, freshness, version, code, running: {kind, version, reported, healthy, ...}}.
 */
export async function startDeviceProcess(
  folder: string,
  options: ProcessOptions & {
    /** Seconds between two rounds: 1. */
    readonly interval?: number;
    readonly flags?: readonly string[];
  } = {},
): Promise<RunningCommand> {
  const interval = String(options.interval ?? 1);
  const flags = options.flags ?? [];
  const device = startCommand(['device', 'run', folder, '--interval', interval, ...flags], options);
  try {
    await device.event((event) => event['type'] === 'ready');
    return device;
  } catch (error) {
    await device.kill();
    throw error;
  }
}

function spawnCommand(
  args: readonly string[],
  { env = {}, cwd, through = [], program = MAIN }: ProcessOptions,
  stdin: 'pipe' | 'ignore',
): ChildProcess {
  const [file = '', ...words] = [...through, process.execPath, program, ...args];
  const child = spawn(file, words, {
    env: { ...process.env, ...env, ...(stdin === 'pipe' && { FIRMAMENT_STOP_WITH_STDIN: '1' }) },
    ...(cwd !== undefined && { cwd }),
    stdio: [stdin, 'pipe', 'pipe'],
  });
  // It may end before its pipe does.
  child.stdin?.on('error', () => undefined);
  return child;
}

async function endOf(child: ChildProcess): Promise<Ended> {
  const [code, signal] = (await once(child, 'close').catch(() => [null, null])) as [
    Ended['code'],
    Ended['signal'],
  ];
  return { code, signal };
}

function eachLine(stream: Readable, take: (line: string) => void): void {
  createInterface({ input: stream, crlfDelay: Infinity }).on('line', take);
}

function parseEvent(line: string): Json | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Json;
  } catch {
    // A line that was cut by SIGKILL.
    return undefined;
  }
}
