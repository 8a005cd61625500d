/** A machine for each node: a network namespace of its own, so that links between nodes can be cut, or only a name. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { freePorts } from '../free-ports.ts';

export interface Machine {
  /** Address that the others reach it at. */
  readonly host: string;
  readonly port: number;
  /** Of its engine. */
  readonly enginePort: number;
  /** What a program on it is started through. */
  readonly through: readonly string[];
}

export interface Machines extends AsyncDisposable {
  /** Whether links can be cut. */
  readonly partitions: boolean;
  /** Why not, in words; empty when they can. */
  readonly why: string;
  of(name: string): Machine;
  /** From now on nothing passes between these groups, in either direction; within a group everything does. */
  cut(groups: readonly (readonly string[])[]): Promise<void>;
  /** All links are whole again. */
  heal(): Promise<void>;
}

const PORT = 8443;
const ENGINE_PORT = 26_656;
const PREFIX = 'firmament-faults';
/** A hardware address that nobody has: frames to it are lost on the way, and nobody is told. */
const NOBODY = '02:00:00:00:00:fe';
const DEVICE = 'eth0';

const run = promisify(execFile);

async function ip(...args: readonly string[]): Promise<string> {
  const { stdout } = await run('ip', args, { timeout: 10_000 });
  return stdout;
}

/** Namespaces where this user may make them, on a bridge of their own; else ports of this machine. */
export async function createMachines(names: readonly string[]): Promise<Machines> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return onePort(names, 'only root on Linux can make network namespaces');
  const made = new Namespaces(names);
  try {
    await removeLeftovers();
    await made.make();
    return made;
  } catch (error) {
    await made[Symbol.asyncDispose]();
    return onePort(names, `no network namespaces here: ${String(error).split('\n', 1)[0]}`);
  }
}

async function onePort(names: readonly string[], why: string): Promise<Machines> {
  const ports = await freePorts(2 * names.length);
  const machines = new Map(
    names.map((name, i): [string, Machine] => [
      name,
      {
        host: '127.0.0.1',
        port: ports[2 * i] as number,
        enginePort: ports[2 * i + 1] as number,
        through: [],
      },
    ]),
  );
  return {
    partitions: false,
    why,
    of: (name) => machines.get(name) as Machine,
    cut: () => Promise.reject(new Error(why)),
    heal: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Namespaces of a run that was killed. */
async function removeLeftovers(): Promise<void> {
  for (const line of (await ip('netns', 'list')).split('\n')) {
    const [, name, pid] = new RegExp(`^(${PREFIX}-(\\d+)-\\d+)\\b`).exec(line) ?? [];
    if (name === undefined || isAlive(Number(pid))) continue;
    await ip('netns', 'delete', name).catch(() => undefined);
    await ip('link', 'delete', bridgeOf(Number(pid))).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

// Names of devices have 15 characters at most.
function bridgeOf(pid: number): string {
  return `ffb${pid}`;
}

class Namespaces implements Machines {
  readonly partitions = true;
  readonly why = '';
  readonly #names: readonly string[];
  readonly #net = `10.199.${process.pid % 250}`;

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  of(name: string): Machine {
    const through = ['ip', 'netns', 'exec', this.#namespace(name)];
    return { host: this.#host(name), port: PORT, enginePort: ENGINE_PORT, through };
  }

  #host(name: string): string {
    return `${this.#net}.${11 + this.#names.indexOf(name)}`;
  }

  #namespace(name: string): string {
    return `${PREFIX}-${process.pid}-${this.#names.indexOf(name)}`;
  }

  async make(): Promise<void> {
    const bridge = bridgeOf(process.pid);
    await ip('link', 'add', bridge, 'type', 'bridge');
    await ip('address', 'add', `${this.#net}.1/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    for (const [i, name] of this.#names.entries()) {
      const namespace = this.#namespace(name);
      const outer = `ffv${process.pid}-${i}`;
      await ip('netns', 'add', namespace);
      const inner = ['peer', 'name', DEVICE, 'netns', namespace];
      await ip('link', 'add', outer, 'type', 'veth', ...inner);
      await ip('link', 'set', outer, 'master', bridge, 'up');
      await ip('-n', namespace, 'address', 'add', `${this.#host(name)}/24`, 'dev', DEVICE);
      await ip('-n', namespace, 'link', 'set', DEVICE, 'up');
      await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
  }

  async cut(groups: readonly (readonly string[])[]): Promise<void> {
    for (const group of groups)
      for (const name of group)
        for (const other of groups.flatMap((each) => (each === group ? [] : each)))
          await this.#neighbour(name, other, 'replace', ['lladdr', NOBODY, 'nud', 'permanent']);
  }

  async heal(): Promise<void> {
    for (const name of this.#names)
      for (const other of this.#names)
        if (name !== other) await this.#neighbour(name, other, 'delete', []).catch(() => undefined);
  }

  async #neighbour(
    name: string,
    other: string,
    what: string,
    more: readonly string[],
  ): Promise<void> {
    const at = ['dev', DEVICE];
    await ip('-n', this.#namespace(name), 'neighbour', what, this.#host(other), ...more, ...at);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its end of each cable goes with a namespace.
    for (const name of this.#names)
      await ip('netns', 'delete', this.#namespace(name)).catch(() => undefined);
    await ip('link', 'delete', bridgeOf(process.pid)).catch(() => undefined);
  }
}
