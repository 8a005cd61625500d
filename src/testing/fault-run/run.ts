/** A network under load and random faults, and the verdict on it (docs/operations.md, "Faults on purpose"). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../../database.ts';
import { openReplica } from '../../ledger/replica.ts';
import { seeded } from '../seeded.ts';
import { Acknowledgements } from './acknowledgements.ts';
import { CosignerWatch } from './cosigner-watch.ts';
import { Devices } from './devices.ts';
import { FAULTS, type Fault, type Scene } from './faults.ts';
import { createMachines } from './machines.ts';
import { createFaultNetwork, MEMBERS, NODES } from './network.ts';
import { Observer } from './observer.ts';
import { Publisher } from './publisher.ts';
import { registerOn } from './registrars.ts';
import type { FaultCount, FaultReport } from './report.ts';
import { Violations } from './violations.ts';

export interface FaultRunOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Of CometBFT. */
  readonly binary: string;
  readonly say: (line: string) => void;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** Of these kinds only. */
  readonly kinds?: readonly string[] | undefined;
}

const AUTHORS = 4;
/** Milliseconds until all is as before once a fault is over. */
const RECOVERY_MS = 90_000;
const LOOK_MS = 200;

/** Runs it; everything that it started is gone when this resolves. The folder stays when something was violated. */
export async function runFaults(options: FaultRunOptions): Promise<FaultReport> {
  const { seed, minutes, say } = options;
  const began = performance.now();
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'faults-'));
  const stop = new AbortController();
  const violations = new Violations((what) => {
    say(`VIOLATION: ${what}`);
    stop.abort();
  });
  cleanup.defer(async () => {
    if (violations.all.length > 0) say(`everything is left in ${folder}`);
    else await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const machines = cleanup.use(await createMachines(NODES));
  if (!machines.partitions) say(`no partitions: ${machines.why}`);
  const network = cleanup.use(await createFaultNetwork(folder, machines, options.binary));
  const signal = AbortSignal.any([stop.signal, options.signal]);
  const random = seeded(seed);
  const acknowledgements = new Acknowledgements();
  const cosigners = new CosignerWatch(network, violations);
  const observer = cleanup.use(new Observer(network, acknowledgements, cosigners, violations));
  await Promise.all(network.nodes.map((node) => node.start()));
  const publisher = await Publisher.create(network);
  const devices = new Devices(network, publisher, violations);
  // The observer and the load go on until the last fault is over, and stop before the nodes.
  const working = new AbortController();
  const work = AbortSignal.any([working.signal, signal]);
  const watching = observer.run(work);
  const load = Promise.all([
    ...Array.from({ length: AUTHORS }, (_, i) =>
      registerOn(network.root, `author-${i}`, acknowledgements, violations, work),
    ),
    publisher.run(acknowledgements, violations, work),
    ...['device-1', 'device-2', 'device-3'].map((name) => devices.run(name, work)),
  ]);
  const scene: Scene = {
    network,
    machines,
    acknowledgements,
    cosigners,
    violations,
    signal,
    logSize: () => observer.replica.head().size,
    random,
    say: (line) => say(`    ${line}`),
  };
  const faults = new Map<string, FaultCount>();
  const recovered = async (): Promise<number> => {
    const ms = await asBefore(scene, observer);
    if (ms > 0) say(`    all as before after ${(ms / 1000).toFixed(1)} s`);
    return ms;
  };
  try {
    await recovered();
    const end = performance.now() + minutes * 60_000;
    const deck = new Deck(options, machines.partitions, random);
    while (!signal.aborted && performance.now() < end) {
      const fault = deck.draw();
      say(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${fault.kind}`);
      acknowledgements.longestStall();
      await fault.run(scene);
      const ms = await recovered();
      const before = faults.get(fault.kind);
      faults.set(fault.kind, {
        times: (before?.times ?? 0) + 1,
        stall: Math.max(before?.stall ?? 0, acknowledgements.longestStall()),
        recovery: Math.max(before?.recovery ?? 0, ms),
      });
    }
  } finally {
    working.abort();
    await Promise.all([load, watching]);
  }
  if (violations.all.length > 0) tellLogs(scene, say);
  else if (!options.signal.aborted) {
    await using client = network.client('peer');
    await observer.look(client);
  }
  await Promise.all(network.nodes.map((node) => node.end()));
  if (violations.all.length === 0 && !options.signal.aborted) {
    cosigners.judge(observer.replica);
    judgeDisks(scene, observer);
  }
  return {
    seed,
    seconds: (performance.now() - began) / 1000,
    partitions: machines.partitions,
    faults,
    height: observer.comparedTo,
    size: observer.replica.head().size,
    acknowledged: acknowledgements.count,
    found: observer.found,
    releases: Number(publisher.available),
    cosignatures: cosigners.count,
    devices: devices.counts,
    violations: violations.all,
  };
}

/** Every kind once in a random order, and again. */
class Deck {
  readonly #faults: readonly Fault[];
  readonly #random: () => number;
  #left: Fault[] = [];

  constructor({ kinds }: FaultRunOptions, partitions: boolean, random: () => number) {
    this.#faults = FAULTS.filter(
      ({ kind, cuts }) => (partitions || !cuts) && (!kinds || kinds.includes(kind)),
    );
    this.#random = random;
    if (this.#faults.length === 0) throw new Error('none of these faults can be made here');
  }

  draw(): Fault {
    if (this.#left.length === 0)
      this.#left = this.#faults
        .map((fault) => ({ fault, at: this.#random() }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ fault }) => fault);
    return this.#left.pop() as Fault;
  }
}

/** Until all nodes are well, at one height and beyond where they were, and authors get receipts. Answers after how long. */
async function asBefore(scene: Scene, observer: Observer): Promise<number> {
  const { acknowledgements, network, signal, violations } = scene;
  const began = performance.now();
  const { height } = observer.replica.head();
  const before = acknowledgements.count;
  while (!signal.aborted) {
    const unwell = NODES.filter((name) => !isWell(observer, name));
    const goesOn =
      acknowledgements.count > before && observer.comparedTo > height && unwell.length === 0;
    const ms = performance.now() - began;
    if (goesOn) return ms;
    if (ms > RECOVERY_MS) {
      const states = network.nodes.map(({ name }) => {
        const { status, height: at, engine } = observer.seen(name) ?? {};
        return `${name} ${status ?? 'does not answer'} ${at ?? ''} ${JSON.stringify(engine ?? {})}`;
      });
      violations.add(
        `not as before ${RECOVERY_MS / 1000} s after the fault: ${acknowledgements.count - before} receipts, heights ${height} to ${observer.comparedTo}; ${states.join('; ')}`,
      );
      return ms;
    }
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return 0;
}

function isWell(observer: Observer, name: string): boolean {
  const { status, engine } = observer.seen(name) ?? {};
  const isMember = MEMBERS.some((member) => member === name);
  return status === 'ok' && (!isMember || engine?.ready === true);
}

/** What lies on the disks of stopped nodes: the head of each height is what the observer derived. */
function judgeDisks({ network, violations }: Scene, { replica }: Observer): void {
  for (const { name, config } of network.nodes) {
    const database = openDatabase(join(config.data, 'ledger.db'));
    try {
      const own = openReplica(database, network.genesis);
      const last = Math.min(own.head().height, replica.head().height);
      for (let height = 0; height <= last; height++) {
        const [here, there] = [own.headAt(height), replica.headAt(height)];
        violations.check(
          JSON.stringify(here, plain) === JSON.stringify(there, plain),
          `${name} has another head at height ${height} on its disk`,
        );
      }
      violations.check(!own.halted(), `${name} halted: ${own.halted()?.code}`);
    } finally {
      database.close();
    }
  }
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return value.toHex();
  return typeof value === 'bigint' ? value.toString() : value;
}

function tellLogs({ network }: Scene, say: (line: string) => void): void {
  for (const { name, log } of network.nodes.map((node) => ({ name: node.name, log: node.log() }))) {
    say(`last lines of ${name}:`);
    for (const line of log.slice(-25)) say(`    ${line.slice(0, 1000)}`);
  }
}
