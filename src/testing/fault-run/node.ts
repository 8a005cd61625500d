/** One node as a process that faults happen to: killed, wiped, its clock moved, or another program in its place. */
import { readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { endOrphan } from '../../ledger/cometbft/process.ts';
import { readNodeConfig, type NodeConfig } from '../../node/config.ts';
import { startCommand, type RunningCommand } from '../processes.ts';
import { SILENT } from '../ledger-fixture.ts';
import type { Deviation } from './deviations.ts';

const PROGRAM = join(import.meta.dirname, 'node.child.ts');
const KEPT_LINES = 200;
const START_MS = 60_000;

export interface FaultNodeOptions {
  readonly name: string;
  readonly configFile: string;
  readonly url: string;
  /** What its program is started through. */
  readonly through: readonly string[];
  /** Of CometBFT. */
  readonly binary: string;
  /** File by which the process is told what its clock is. */
  readonly control: string;
}

/** What of a node's disk is lost. */
export type Loss = 'everything but keys and what was signed' | 'what is computed again';

export class FaultNode {
  readonly name: string;
  readonly url: string;
  readonly config: NodeConfig;
  readonly #options: FaultNodeOptions;
  readonly #log: string[] = [];
  #process: RunningCommand | undefined;

  constructor(options: FaultNodeOptions) {
    this.#options = options;
    this.name = options.name;
    this.url = options.url;
    this.config = readNodeConfig(options.configFile);
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** Its last lines, also of processes that are gone. */
  log(): readonly string[] {
    return this.#log;
  }

  /** Listening when it resolves; does nothing when it runs. Errors: when it ends before. */
  async start(deviation?: Deviation): Promise<void> {
    if (this.#process) return;
    this.#note(`--- start${deviation === undefined ? '' : ` ${deviation}`}`);
    const { configFile, through, binary, control } = this.#options;
    const node = startCommand(['node', 'start', configFile], {
      program: PROGRAM,
      through,
      env: {
        FIRMAMENT_COMETBFT: binary,
        FIRMAMENT_CONTROL: control,
        ...(deviation !== undefined && { FIRMAMENT_DEVIATION: deviation }),
      },
      onLog: (line) => this.#note(line),
    });
    // At once: it may be killed while it starts.
    this.#process = node;
    void this.#listenTo(node);
    await node.event((event) => typeof event['port'] === 'number', START_MS);
  }

  async #listenTo(node: RunningCommand): Promise<void> {
    const { code, signal } = await node.ended;
    this.#note(`--- ended: ${signal ?? code}`);
    if (this.#process === node) this.#process = undefined;
  }

  #note(line: string): void {
    this.#log.push(line);
    if (this.#log.length > KEPT_LINES) this.#log.shift();
  }

  /** SIGKILL of the node: its engine is left to itself. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  /** SIGKILL of its CometBFT, if there is one. */
  killEngine(): void {
    const { home } = this.config.engine;
    try {
      const pid = Number(readFileSync(join(home, 'engine.pid'), 'utf8'));
      // The number may be another process's by now.
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (words.includes(home)) process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone already.
    }
  }

  /** SIGKILL of both at once. */
  async killPair(): Promise<void> {
    this.killEngine();
    await this.kill();
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
    this.#process = undefined;
  }

  /** Nothing of it runs any more. */
  async end(): Promise<void> {
    await this.stop();
    await endOrphan(this.config.engine.home, SILENT);
  }

  /** Its clock is so many seconds ahead from now on. */
  async setClock(ahead: number): Promise<void> {
    await writeFile(this.#options.control, String(ahead));
  }

  /**
   * Loses what is on its disk, while it does not run. What its keys signed last always stays (T10): without that it
   * would have to get new keys.
   */
  async lose(loss: Loss): Promise<void> {
    await endOrphan(this.config.engine.home, SILENT);
    await rm(this.config.data, { recursive: true, force: true });
    const { home } = this.config.engine;
    if (loss === 'what is computed again') {
      const data = join(home, 'data');
      for (const name of await readdir(data).catch(() => []))
        if (/\.db$|^cs\.wal$/.test(name)) await rm(join(data, name), { recursive: true });
      return;
    }
    for (const name of await readdir(home).catch(() => []))
      if (name !== 'data') await rm(join(home, name), { recursive: true });
    for (const name of await readdir(join(home, 'data')).catch(() => []))
      if (name !== 'priv_validator_state.json')
        await rm(join(home, 'data', name), { recursive: true });
  }
}
