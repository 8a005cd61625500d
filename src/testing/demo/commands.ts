/** Every process that the demo starts, so that none is left behind. */
import { startCommand, type Json, type ProcessOptions, type RunningCommand } from '../processes.ts';

/** What a command that ended printed. */
export interface CommandEnd {
  readonly code: number | null;
  readonly events: readonly Json[];
  readonly log: readonly string[];
}

export class Commands implements AsyncDisposable {
  readonly #running = new Set<RunningCommand>();
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: Readonly<Record<string, string>>) {
    this.#env = env;
  }

  /** Of every process that runs now. */
  get pids(): readonly number[] {
    return [...this.#running].map(({ pid }) => pid);
  }

  start(args: readonly string[], options: ProcessOptions = {}): RunningCommand {
    const command = startCommand(args, { ...options, env: { ...this.#env, ...options.env } });
    this.#running.add(command);
    void command.ended.then(() => this.#running.delete(command));
    return command;
  }

  /** Runs a command to its end, whatever that is. */
  async finish(args: readonly string[], options: ProcessOptions = {}): Promise<CommandEnd> {
    const events: Json[] = [];
    const command = this.start(args, {
      ...options,
      onEvent: (event) => {
        events.push(event);
        options.onEvent?.(event);
      },
    });
    const { code } = await command.ended;
    return { code, events, log: command.log() };
  }

  /** The one JSON answer of a command. Errors: when it exits with anything but 0, with what it printed. */
  async answer(args: readonly string[], options: ProcessOptions = {}): Promise<Json> {
    const { code, events, log } = await this.finish([...args, '--json'], options);
    const last = events.at(-1);
    if (code !== 0 || !last) {
      const printed = log.slice(-10).join('\n');
      throw new Error(`firmament ${args.slice(0, 2).join(' ')}: exit ${code}\n${printed}`);
    }
    return last;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map((command) => command.stop(3000)));
  }
}
