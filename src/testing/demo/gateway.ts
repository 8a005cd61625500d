/** A household of the demo with a gateway of its own: three devices behind it, while nodes die. */
import { readFileSync } from 'node:fs';
import { decodeKey } from '../../cose/key.ts';
import { Owner, planGateway } from '../gateway.ts';
import type { RunningCommand } from '../processes.ts';
import type { DemoDevice } from './device.ts';
import { OTHER_NODE } from './members.ts';
import { releaseOf, type Stage } from './stage.ts';

const TOLD = [
  ['lamp-5', 'lamp'],
  ['lock-5', 'lock'],
] as const;
const ASKS = 'lamp-6';
const INSTALL_MS = 30_000;

/** Nothing after it rests on it: its rows say whether it held. */
export async function behindGateway(stage: Stage): Promise<void> {
  const { network, rows, screen, cleanup } = stage;
  screen.say('A household has a gateway, and three devices fresh from the factory.', 'title');
  const told: DemoDevice[] = [];
  for (const [name, model] of TOLD) told.push(await stage.ship(name, model));
  const asks = await stage.ship(ASKS, 'lamp');
  const { gateway, owner } = await startGateway(stage);
  cleanup.use(owner);
  const witness = { name: 'gateway', log: () => gateway.log() };

  await rows.judge(
    'three devices enrol at a gateway',
    'three certificates',
    [witness],
    async () => {
      for (const device of [...told, asks]) {
        const id = await device.enrol(await owner.bundle(device.model));
        const group = device === asks ? 'asks' : 'default';
        await owner.call('PUT', `/v1/devices/${id}/group`, { group });
      }
      const tiers = (await owner.list('devices')).map(({ tier }) => tier);
      return tiers.join(' ') === 'certificate certificate certificate'
        ? 'three certificates'
        : 'others';
    },
  );
  screen.say(`${OTHER_NODE} dies too: two of four nodes are left.`, 'title');
  await network.kill(OTHER_NODE);
  const forced = 'told at once: 2.0.0 twice, and nothing for the one that has to ask';
  await rows.judge('force validation, two nodes dead', forced, [witness, ...told], async () => {
    await Promise.all([...told, asks].map((device) => device.startBehindGateway('force')));
    await owner.poll();
    await Promise.all(told.map((device) => device.runs('2.0.0', INSTALL_MS)));
    return asks.running.version === '' ? forced : `${ASKS} runs ${asks.running.version}`;
  });
  await rows.judge('self validation', 'it asks, and runs 2.0.0', [witness, asks], async () => {
    await asks.stop();
    await asks.startBehindGateway('self');
    await asks.runs('2.0.0', INSTALL_MS);
    const modes = (await owner.list('offers')).map(({ mode }) => mode);
    return modes.includes('self') ? 'it asks, and runs 2.0.0' : 'it was told';
  });
  await network.restart(OTHER_NODE);
  await network.cosigned(stage.signal);
  for (const device of [...told, asks]) await device.stop();
}

async function startGateway(
  stage: Stage,
): Promise<{ readonly gateway: RunningCommand; readonly owner: Owner }> {
  const { network, commands, folder, author } = stage;
  const anchor = decodeKey(new Uint8Array(readFileSync(author.anchor)));
  const lines = (['lamp', 'lock'] as const).map((model) => {
    const { line } = releaseOf(stage, model, '2.0.0');
    return { line, anchor, type: model, model, hardware: ['1.0'] };
  });
  const groups = { asks: { validation: 'self' as const } };
  const place = await planGateway({ folder, rootFile: network.rootFile }, { lines, groups });
  const gateway = commands.start(['gateway', 'start', place.config]);
  await gateway.event((event) => typeof event['rootHash'] === 'string');
  return { gateway, owner: new Owner(place) };
}
