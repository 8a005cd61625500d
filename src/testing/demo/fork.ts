/** Operators sign two histories, and show a device the one that it does not know (T09, T17). */
import { forkAfterTruth } from '../fork.ts';
import type { DemoDevice } from './device.ts';
import { AUTHORS_NODE } from './members.ts';
import { deviceNamed, LATECOMER, type Loot, type Stage } from './stage.ts';
import { until } from './waiting.ts';

const ASKED_MS = 20_000;

export async function fork(stage: Stage, loot: Loot): Promise<void> {
  stage.screen.say(
    'Operators sign a second history of the same size; the thief shows it.',
    'title',
  );
  const device = deviceNamed(stage, LATECOMER);
  // It runs, and asks the thief alone every second.
  await device.start(AUTHORS_NODE);
  await shown(stage, loot, device, 'a fork that two operators signed', 2, 'TRUST_QUORUM');
  await shown(stage, loot, device, 'a fork that a whole quorum signed', 3, 'TRUST_HEAD_FORK');
  await device.stop();
}

function shown(
  { network, rows, signal }: Stage,
  { attacker }: Loot,
  device: DemoDevice,
  what: string,
  operators: number,
  code: string,
): Promise<boolean> {
  return rows.judge(what, `${code}; still runs 2.0.0`, [device], async () => {
    const colluders = network.cosigners().slice(0, operators);
    const now = (): number => Math.floor(Date.now() / 1000);
    const before = device.refused.length;
    attacker.play(forkAfterTruth(device.name, network.root.networkId, colluders, now));
    const seen = await until(`${device.name} to meet the fork`, ASKED_MS, signal, () =>
      device.refused.at(before),
    );
    return `${seen}; still runs ${device.running.version}`;
  });
}
