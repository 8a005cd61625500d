/** A release that not every device can be updated to directly names one to install first (T16). */
import type { DemoRelease } from './author.ts';
import type { DemoDevice } from './device.ts';
import { sampleImage } from './images.ts';
import type { Stage } from './stage.ts';

const MODEL = 'plug';
const SIZE = 96 * 1024;

/** Answers whether everything held. */
export async function waypoint(stage: Stage): Promise<boolean> {
  const { rows, screen, network } = stage;
  screen.say('Acme has plugs too: 2.0.0 can only be installed over 1.5.0.', 'title');
  const plugs: DemoDevice[] = [];
  const what = 'plug 2.0.0 is published, via 1.5.0';
  const held = await rows.judge(what, 'newest', network.nodes, async () => {
    const [[old, recent]] = await Promise.all([shipped(stage), publish(stage, '1.0.0')]);
    plugs.push(old, recent);
    await old.poll();
    const { sequence, digest } = await publish(stage, '1.5.0');
    await recent.poll();
    const over = { applies: [sequence, sequence], via: digest } as const;
    const { newest } = await publish(stage, '2.0.0', over);
    return newest ? 'newest' : 'not newest';
  });
  const [old, recent] = plugs;
  if (!held || !old || !recent) return false;
  return (
    (await goes(stage, old, '1.0.0', ['1.5.0', '2.0.0'])) && goes(stage, recent, '1.5.0', ['2.0.0'])
  );
}

async function shipped(stage: Stage): Promise<readonly [DemoDevice, DemoDevice]> {
  return [await stage.ship(`${MODEL}-1`, MODEL), await stage.ship(`${MODEL}-2`, MODEL)];
}

function publish(
  { author, folder }: Stage,
  version: string,
  over: Parameters<typeof author.publish>[3] = {},
): Promise<DemoRelease> {
  const { file } = sampleImage(folder, MODEL, version, SIZE);
  return author.publish(file, MODEL, version, over);
}

/** Update by update, until it is up to date. */
function goes(
  { rows }: Stage,
  device: DemoDevice,
  from: string,
  versions: readonly string[],
): Promise<boolean> {
  const expected = versions.join(', then ');
  return rows.judge(`${device.name} goes on from ${from}`, expected, [device], async () => {
    const { version } = device.running;
    if (version !== from) return `it was at ${version}`;
    const seen: string[] = [];
    for (let round = 0; round < versions.length; round++) {
      const { outcome, code } = await device.poll();
      seen.push(outcome === 'installed' ? device.running.version : String(code ?? outcome));
    }
    return seen.join(', then ');
  });
}
