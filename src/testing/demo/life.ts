/** The first half of the demo: from nothing to devices that outlive their author's node. */
import { behindGateway } from './gateway.ts';
import type { Seen } from './rows.ts';
import { authorFollows, ordererDies } from './hand-over.ts';
import { validatorsDie } from './validators-die.ts';
import { AUTHORS_NODE, OTHER_NODE } from './members.ts';
import { MODELS, type Model } from './images.ts';
import { waypoint } from './waypoint.ts';
import {
  deviceNamed,
  HOUSEHOLD,
  household,
  NEWCOMER,
  releaseOf,
  VICTIM,
  type Loot,
  type Stage,
} from './stage.ts';

const INSTALL_MS = 30_000;

/** Runs it; undefined when a step did not hold and nothing after it would mean anything. */
export async function liveThrough(stage: Stage): Promise<Omit<Loot, 'attacker'> | undefined> {
  const began = (await networkUp(stage)) && (await authorRegistered(stage));
  if (!began || !(await published(stage, '1.0.0'))) return undefined;
  if (!(await householdUpdated(stage, '1.0.0'))) return undefined;
  const consortium = stage.network.engine === 'cometbft';
  if (!(await (consortium ? validatorsDie(stage) : ordererDies(stage)))) return undefined;
  const staleLatest = await stage.network.latest(releaseOf(stage, 'lamp', '1.0.0').line);
  const { line, digest } = releaseOf(stage, 'lamp', '1.0.0');
  const oldEnvelope = await stage.network.envelope(line, digest);
  if (!(await published(stage, '2.0.0'))) return undefined;
  if (!consortium && !(await authorFollows(stage))) return undefined;
  if (!(await householdUpdated(stage, '2.0.0'))) return undefined;
  if (!(await waypoint(stage))) return undefined;
  if (!(await authorsNodeDies(stage))) return undefined;
  await behindGateway(stage);
  return { staleLatest, oldEnvelope };
}

function networkUp(stage: Stage): Promise<boolean> {
  const { network, rows, screen, signal } = stage;
  const engines = network.engine === 'local' ? '' : ', each with a CometBFT of its own';
  screen.say(`Four operators, one node each: a process of its own${engines}.`, 'title');
  return rows.judge('four nodes start', 'all four cosign', network.nodes, async () => {
    await network.start();
    await network.cosigned(signal);
    return 'all four cosign';
  });
}

function authorRegistered(stage: Stage): Promise<boolean> {
  const { network, rows, screen, author } = stage;
  screen.say('Acme makes its keys and registers as an author.', 'title');
  const expected = 'on the ledger, receipt verified';
  return rows.judge('an author registers', expected, network.nodes, async () => {
    const key = network.governanceKey('acme');
    const { index } = await author.register(network.rootFile, 'acme', key);
    return typeof index === 'number' ? expected : 'no receipt';
  });
}

async function published(stage: Stage, version: '1.0.0' | '2.0.0'): Promise<boolean> {
  const { network, rows, screen, images } = stage;
  const about = version === '1.0.0' ? 'the sample firmware' : images.about;
  screen.say(`Acme publishes ${version} for its lamps and locks: ${about}.`, 'title');
  // Meanwhile the maker makes the devices.
  const shipped =
    version === '1.0.0' ? shipAll(stage, [...HOUSEHOLD, VICTIM]) : Promise.resolve(undefined);
  shipped.catch(() => undefined);
  let held = true;
  for (const model of MODELS) {
    const what = `${model} ${version} is published`;
    held &&= await rows.judge(what, 'newest, held by 3 or more', network.nodes, () =>
      publishOne(stage, model, version),
    );
  }
  await shipped;
  return held;
}

async function publishOne(stage: Stage, model: Model, version: '1.0.0' | '2.0.0'): Promise<Seen> {
  const { author, images, releases } = stage;
  const release = await author.publish(images.of(model, version).file, model, version);
  releases.push({ ...release, model });
  const holders = release.holders.map((name) => name.split('/', 1)[0]).join(' ');
  return {
    seen: `${release.newest ? 'newest' : 'not newest'}, held by ${holders}`,
    ok: release.newest && release.holders.length >= 3,
  };
}

async function shipAll(stage: Stage, names: readonly string[]): Promise<void> {
  for (const name of names) await stage.ship(name, name.startsWith('lamp') ? 'lamp' : 'lock');
}

async function householdUpdated(stage: Stage, version: '1.0.0' | '2.0.0'): Promise<boolean> {
  const { rows, screen } = stage;
  screen.say(`Two lamps and two locks find ${version} by themselves.`, 'title');
  const devices = household(stage);
  const held = await rows.judge(
    `four devices install ${version}`,
    'all run it, byte for byte, fresh',
    devices,
    async () => {
      if (version === '1.0.0') await Promise.all(devices.map((device) => device.start()));
      await Promise.all(devices.map((device) => device.runs(version, INSTALL_MS)));
      return judgeDevices(stage, version);
    },
  );
  if (!held || version !== '1.0.0') return held;
  const victim = deviceNamed(stage, VICTIM);
  const what = `${VICTIM} installs it too, then lies in a drawer`;
  return rows.judge(what, 'runs 1.0.0', [victim], async () => {
    await victim.poll();
    return `runs ${victim.running.version}`;
  });
}

function judgeDevices(stage: Stage, version: '1.0.0' | '2.0.0'): Seen {
  const { images } = stage;
  let opaque = false;
  for (const device of household(stage)) {
    const { kind, reported } = device.running;
    opaque ||= kind === 'opaque';
    if (device.slotDigest() !== images.of(device.model as Model, version).sha256)
      return `${device.name} has another image in its slot`;
    if (kind !== 'opaque' && reported !== version)
      return `the firmware of ${device.name} says that it is ${reported}`;
  }
  const expected = 'all run it, byte for byte, fresh';
  return opaque ? { seen: `${expected} (opaque: not run)`, ok: true } : expected;
}

async function authorsNodeDies(stage: Stage): Promise<boolean> {
  const { network, rows, screen, signal } = stage;
  screen.say("The author's node dies, and does not come back.", 'title');
  const rest = network.nodes.filter(({ name }) => name !== AUTHORS_NODE);
  const killed = await rows.judge(`SIGKILL ${AUTHORS_NODE}`, 'three cosign on', rest, async () => {
    await network.kill(AUTHORS_NODE);
    await network.cosigned(signal);
    return 'three cosign on';
  });
  if (!killed) return false;
  const newcomer = await stage.ship(NEWCOMER, 'lock');
  const what = 'a device fresh from the factory';
  return rows.judge(
    what,
    'runs 2.0.0, fresh(own clock)',
    [newcomer, network.node(OTHER_NODE)],
    async () => {
      await newcomer.start();
      await newcomer.runs('2.0.0', INSTALL_MS);
      const { running, freshness } = newcomer;
      return `runs ${running.version}, ${freshness}`;
    },
  );
}
