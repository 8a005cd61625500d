/** The demo: a whole network as processes on this machine, its life, and the attacks on it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attack } from './attacks.ts';
import { DemoAuthor, PASSPHRASE } from './author.ts';
import { Commands } from './commands.ts';
import { DemoDevice } from './device.ts';
import { makeImages } from './images.ts';
import { liveThrough } from './life.ts';
import { treePss } from './memory.ts';
import type { DemoEngine } from './members.ts';
import { DemoNetwork } from './network.ts';
import { drawPicture } from './picture.ts';
import { formatRows, Rows, type Row } from './rows.ts';
import { Screen, type Terminal } from './screen.ts';
import type { PublishedRelease, Stage } from './stage.ts';

export interface DemoOptions {
  readonly engine: DemoEngine;
  /** Published as 2.0.0 of both models; the sample firmware otherwise. */
  readonly image?: string | undefined;
  /** Leave everything running at the end, until the signal is aborted. */
  readonly keep: boolean;
  readonly terminal: Terminal;
  /** Ends the demo: every process is stopped. */
  readonly signal: AbortSignal;
  /** Told of the rows when all were judged, before anything is kept running. */
  readonly onRows: (rows: readonly Row[]) => Promise<void>;
}

export interface DemoResult {
  /** Every row held, and none is missing. */
  readonly held: boolean;
}

const LOOK_MS = 1000;
const WEIGH_EVERY = 3;

/** Runs it; everything that it started is gone when this resolves. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { terminal, signal } = options;
  const say = (line: string): void => void terminal.write(`${line}\n`);
  const began = performance.now();
  await using cleanup = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'firmament-demo-'));
  cleanup.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  const commands = cleanup.use(new Commands({ FIRMAMENT_PASSPHRASE: PASSPHRASE }));
  const stop = (): void => void commands[Symbol.asyncDispose]();
  signal.addEventListener('abort', stop);
  cleanup.defer(() => signal.removeEventListener('abort', stop));
  const stage = await setUp(options, folder, commands, cleanup);
  const scales = watch(stage);
  const ended = await tell(stage);
  stage.screen[Symbol.dispose]();
  scales.stop();
  const { rows } = stage;
  for (const line of ['', ...formatRows(rows.all), '']) say(line);
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  say(`${seconds} s${scales.text()}`);
  const held = ended && rows.all.every(({ ok }) => ok);
  say(signal.aborted ? 'Cut off.' : held ? 'Every row held.' : 'NOT every row held.');
  for (const line of rows.failures) say(line);
  await options.onRows(rows.all);
  if (options.keep && !signal.aborted) await keep(stage, say);
  return { held };
}

async function tell(stage: Stage): Promise<boolean> {
  try {
    const taken = await liveThrough(stage);
    if (taken) await attack(stage, taken);
    return taken !== undefined;
  } catch (error) {
    if (stage.signal.aborted) return false;
    throw error;
  }
}

async function setUp(
  { engine, image, terminal, signal }: DemoOptions,
  folder: string,
  commands: Commands,
  cleanup: AsyncDisposableStack,
): Promise<Stage> {
  const devices: DemoDevice[] = [];
  const releases: PublishedRelease[] = [];
  const network = cleanup.use(await DemoNetwork.create(folder, commands, engine));
  const { nodes } = network;
  const screen = new Screen(terminal, () =>
    drawPicture({ nodes, orderers: network.orderers, devices, releases }),
  );
  const author = new DemoAuthor(folder, commands, (line) => screen.say(`    ${line}`));
  const rows = new Rows(signal, (row) => {
    const mark = row.ok ? '  ok ' : '  NO ';
    screen.say(`${mark} ${row.what}: ${row.seen}`, row.ok ? 'good' : 'bad');
  });
  const maker = {
    commands,
    folder,
    rootFile: network.rootFile,
    anchor: author.anchor,
    vendor: author.vendor,
    signal,
    onChange: () => screen.refresh(),
    onRefusal: (device: DemoDevice, node: string, code: string) => {
      // With --keep the thief goes on, and so would these lines.
      if (!screen.isClosed) screen.say(`    ${device.name} refuses what ${node} gave it: ${code}`);
    },
  };
  return {
    folder,
    signal,
    screen,
    rows,
    commands,
    network,
    author,
    images: makeImages(folder, image),
    devices,
    releases,
    cleanup,
    async ship(name, model) {
      const device = new DemoDevice(maker, name, model);
      devices.push(device);
      await device.provision();
      return device;
    },
  };
}

/** Keeps the picture true, and weighs the processes now and then. */
function watch(stage: Stage): { stop(): void; text(): string } {
  let heaviest: number | undefined;
  let rounds = 0;
  const timer = setInterval(() => {
    if (rounds++ % WEIGH_EVERY === 0) {
      const now = treePss();
      if (now !== undefined) heaviest = Math.max(heaviest ?? 0, now);
    }
    void stage.network.look().then(() => stage.screen.refresh());
  }, LOOK_MS);
  return {
    stop: () => clearInterval(timer),
    text: () =>
      heaviest === undefined
        ? ''
        : `; at most ${Math.round(heaviest / 2 ** 20)} MiB of memory (PSS)`,
  };
}

async function keep(stage: Stage, say: (line: string) => void): Promise<void> {
  const { network, folder, signal } = stage;
  say('');
  for (const { name, state, url } of network.nodes)
    say(`${name.padEnd(10)} ${state.padEnd(10)} ${url}`);
  say(`root: ${network.rootFile}`);
  say(`everything: ${folder}`);
  say('Running until Ctrl-C.');
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  await promise;
}
