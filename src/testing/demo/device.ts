/** One device of the demo: a folder that its maker filled, a process when it runs, and what it last said. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import type { Json, RunningCommand } from '../processes.ts';
import type { Commands } from './commands.ts';
import { until } from './waiting.ts';

export interface DeviceMaker {
  readonly commands: Commands;
  readonly folder: string;
  readonly rootFile: string;
  /** The author's public key file. */
  readonly anchor: string;
  readonly vendor: string;
  readonly signal: AbortSignal;
  /** Called when what a device says has changed. */
  readonly onChange: () => void;
  readonly onRefusal: (device: DemoDevice, node: string, code: string) => void;
}

/** What runs on it, as far as it has said. */
export interface Running {
  readonly kind: string;
  readonly version: string;
  readonly slot: string;
  /** The version that the firmware itself says. */
  readonly reported: string | undefined;
}

const NOTHING: Running = { kind: 'off', version: '', slot: '', reported: undefined };
const KEPT = 12;

export class DemoDevice {
  readonly name: string;
  readonly model: string;
  readonly folder: string;
  running: Running = NOTHING;
  freshness = '';
  /** Of the image that is being installed: 0 to 1. */
  progress: number | undefined;
  /** Codes of what nodes gave it that it refused. */
  readonly refused: string[] = [];
  readonly #maker: DeviceMaker;
  readonly #events: Json[] = [];
  #process: RunningCommand | undefined;
  #rounds = 0;

  constructor(maker: DeviceMaker, name: string, model: string) {
    this.#maker = maker;
    this.name = name;
    this.model = model;
    this.folder = join(maker.folder, 'devices', name);
  }

  get isOn(): boolean {
    return this.#process !== undefined;
  }

  log(): readonly string[] {
    return [
      ...this.#events.slice(-8).map((event) => JSON.stringify(event)),
      ...(this.#process?.log().slice(-4) ?? []),
    ];
  }

  /** As the maker does it: anchor, line, root, time floor, key. */
  async provision(): Promise<void> {
    const { commands, rootFile, anchor, vendor } = this.#maker;
    const pinned = ['--root', rootFile, '--author', anchor];
    const hardware = ['--vendor', vendor, '--class', this.model, '--model', this.model];
    const args = ['device', 'provision', this.folder, ...pinned, ...hardware, '--name', this.name];
    const { code, log } = await commands.finish(args);
    if (code !== 0) throw new Error(`device provision: exit ${code}\n${log.join('\n')}`);
  }

  /** Switches it on: it has booted when this resolves, and asks every second. */
  async start(nodes?: string): Promise<void> {
    const only = nodes === undefined ? [] : ['--nodes', nodes];
    await this.#run(['--interval', '1', ...only]);
  }

  async #run(how: readonly string[]): Promise<void> {
    this.progress = undefined;
    const args = ['device', 'run', this.folder, ...how];
    const command = this.#maker.commands.start(args, { onEvent: (event) => this.#hear(event) });
    this.#process = command;
    command.ended.then(
      () => (this.#process === command ? this.#off() : undefined),
      () => undefined,
    );
    await command.event((event) => event['type'] === 'ready');
  }

  /** With the bundle that its owner gives it, as a certificate device of the gateway. */
  async enrol(bundle: string): Promise<string> {
    const hardware = ['--type', this.model, '--hardware', '1.0'];
    const args = ['device', 'enrol', this.folder, bundle, ...hardware];
    return String((await this.#maker.commands.answer(args))['device']);
  }

  /** Switches it on behind its gateway: `force` waits to be told, `self` asks every second. */
  async startBehindGateway(mode: 'force' | 'self'): Promise<void> {
    const asking = mode === 'self' ? ['--interval', '1'] : [];
    await this.#run(['--gateway', '--mode', mode, ...asking]);
  }

  /** The power goes. */
  async cutPower(): Promise<void> {
    await this.#process?.kill();
    this.#off();
  }

  async stop(): Promise<void> {
    await this.#process?.stop(3000);
    this.#off();
  }

  /** Boots it, lets it ask once, and ends it. Answers with what it says of the round. */
  async poll(nodes?: string): Promise<Json> {
    const only = nodes === undefined ? [] : ['--nodes', nodes];
    const args = ['device', 'poll', this.folder, ...only];
    const { events, log } = await this.#maker.commands.finish(args, {
      onEvent: (event) => this.#hear(event),
    });
    const result = events.findLast((event) => event['type'] === 'result');
    this.#process = undefined;
    this.progress = undefined;
    this.#maker.onChange();
    if (!result) throw new Error(`device poll of ${this.name} gave no result\n${log.join('\n')}`);
    return result;
  }

  /** Waits until it runs this version and has said that it is fresh, in a round that ended after now. */
  async runs(version: string, timeoutMs: number): Promise<void> {
    const from = this.#rounds;
    const what = `${this.name} to run ${version}`;
    await until(what, timeoutMs, this.#maker.signal, () => {
      const seen = this.#rounds > from && this.running.version === version;
      return (seen && this.freshness.startsWith('fresh')) || undefined;
    });
  }

  /** Waits until so much (0 to 1) of the image that it installs is there. */
  async hasReceived(share: number): Promise<void> {
    const what = `${share * 100} % of the image on ${this.name}`;
    await until(what, 30_000, this.#maker.signal, () => (this.progress ?? 0) >= share || undefined);
  }

  /** SHA-256 of the file in the slot that runs. */
  slotDigest(): string {
    return hex(sha256(readFileSync(join(this.folder, 'slots', `${this.running.slot}.cjs`))));
  }

  #off(): void {
    this.#process = undefined;
    this.running = NOTHING;
    this.progress = undefined;
    this.#maker.onChange();
  }

  #hear(event: Json): void {
    if (event['type'] !== 'progress' && event['type'] !== 'accepted') this.#keep(event);
    if (event['type'] === 'progress')
      this.progress = Number(event['done']) / Math.max(1, Number(event['total']));
    if (event['type'] === 'accepted') this.freshness = String(event['freshness']);
    if (event['type'] === 'refused' || event['type'] === 'liar') {
      const code = String(event['code']);
      this.refused.push(code);
      this.#maker.onRefusal(this, String(event['node']), code);
    }
    const round = event['type'] === 'result' || event['type'] === 'attempt';
    if (event['type'] === 'ready' || round) {
      this.running = runningOf(event['running']);
      this.progress = undefined;
      if (round) this.#rounds++;
      if (typeof event['freshness'] === 'string') this.freshness = event['freshness'];
    }
    this.#maker.onChange();
  }

  #keep(event: Json): void {
    this.#events.push(event);
    if (this.#events.length > KEPT) this.#events.shift();
  }
}

/** What a `ready` or `result` event says that runs. */
export function runningOf(value: unknown): Running {
  const json = (value ?? {}) as Json;
  const textAt = (key: string): string => (typeof json[key] === 'string' ? json[key] : '');
  return {
    kind: textAt('kind'),
    version: textAt('version'),
    slot: textAt('slot'),
    reported: typeof json['reported'] === 'string' ? json['reported'] : undefined,
  };
}
