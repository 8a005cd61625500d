/** A household of the demo with a gateway of its own: three devices behind it, while nodes die. */
import { join } from 'node:path';
import { decodeKey } from '../../cose/key.ts';
import { readFileSync } from 'node:fs';
import { parseLineText } from '../../registry/line.ts';
import { Owner, planGateway } from '../gateway.ts';
import { OTHER_NODE } from './members.ts';
import { releaseOf, type Stage } from './stage.ts';
import { until } from './waiting.ts';

const TOLD = ['hall-lamp', 'hall-lock'] as const;
const ASKS = 'shed-lamp';
const INSTALL_MS = 30_000;

/** Nothing after it rests on it: its rows say whether it held. */
export async function behindGateway(stage: Stage): Promise<void> {
  const { network, rows, screen, commands, cleanup } = stage;
  screen.say('A household has a gateway, and three devices fresh from the factory.', 'title');
  const anchor = decodeKey(new Uint8Array(readFileSync(join(stage.author.anchor))));
  const place = await planGateway(stage.network.rootFile, stage.folder, {
    lines: (['lamp', 'lock'] as const).map((model) => ({
      line: parseLineText(releaseOf(stage, model, '2.0.0').line),
      anchor,
      type: model,
      model,
      hardware: ['1.0'],
    })),
    groups: { asks: { validation: 'self' } },
  });
  const gateway = commands.start(['gateway', 'start', place.config]);
  const witness = { name: 'gateway', log: () => gateway.log() };
  await gateway.event((event) => typeof event['rootHash'] === 'string');
  const owner = cleanup.use(new Owner(place));
}
