/** The device of examples/shell-device: a shell, curl, mosquitto_sub and mosquitto_pub, after the documents alone. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAM = join(import.meta.dirname, '../../examples/shell-device/device.sh');
const TOOLS = ['mosquitto_sub', 'mosquitto_pub', 'curl'];

/** Whether the machine has what it is made of. */
export function hasShellDevice(): boolean {
  return TOOLS.every((tool) => spawnSync('which', [tool]).status === 0);
}

export class ShellDevice implements AsyncDisposable {
  readonly id: string;
  readonly folder: string;
  #child: ChildProcess | undefined;

  private constructor(id: string, folder: string) {
    this.id = id;
    this.folder = folder;
  }

  /** Enrols in the PSK tier; `hardware`: type, model, version. Does not run yet. */
  static async enrol(
    folder: string,
    bundle: string,
    hardware: readonly [string, string, string],
  ): Promise<ShellDevice> {
    const child = spawn('sh', [PROGRAM, 'enrol', folder, bundle, ...hardware]);
    let [said, wrong] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (wrong += text));
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(wrong);
    return new ShellDevice(said.trim(), folder);
  }

  /** Waits to be told; after so many seconds it says hello again. */
  run(seconds: number): void {
    // A group of its own: mosquitto_sub is a child of the shell.
    this.#child = spawn('sh', [PROGRAM, 'run', this.folder, 'force', String(seconds)], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child?.pid) return;
    const closed = once(child, 'close');
    process.kill(-child.pid, 'SIGKILL');
    await closed;
  }

  /** Another port of its broker, from the next run on. */
  setPort(port: number): void {
    for (const tool of ['mosquitto_sub', 'mosquitto_pub']) {
      const file = join(this.folder, 'options', tool);
      writeFileSync(file, readFileSync(file, 'utf8').replace(/^-p \d+$/m, `-p ${port}`));
    }
  }

  /** Of the release that it runs; empty before the first. */
  get version(): string {
    const file = join(this.folder, 'version');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** In hex. */
  get psk(): string {
    const options = readFileSync(join(this.folder, 'options', 'mosquitto_sub'), 'utf8');
    return /^--psk ([0-9a-f]+)$/m.exec(options)?.[1] ?? '';
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
