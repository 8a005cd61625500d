/** What the picture shows: nodes with what they signed and hold, devices with what they run. */
import type { DemoRelease } from './author.ts';
import type { DemoDevice } from './device.ts';
import type { DemoNode } from './network.ts';

export interface Shown {
  readonly nodes: readonly DemoNode[];
  readonly orderer: string;
  readonly devices: readonly DemoDevice[];
  readonly releases: readonly (DemoRelease & { readonly model: string })[];
}

const WIDTH = 78;
const BAR = 12;

export function drawPicture({ nodes, orderer, devices, releases }: Shown): readonly string[] {
  return [
    '',
    titled('nodes'),
    ...nodes.map((node) => nodeLine(node, node.name === orderer, releases)),
    titled('devices'),
    ...pairs(devices.map(deviceCell)),
    '─'.repeat(WIDTH),
  ];
}

function titled(title: string): string {
  return `── ${title} ${'─'.repeat(WIDTH - title.length - 4)}`;
}

function nodeLine(node: DemoNode, orders: boolean, releases: Shown['releases']): string {
  const role = `${node.kind}, ${node.roles.join(' ')}${orders ? ', orders' : ''}`;
  const head = node.state === 'up' ? `log ${node.size}` : '';
  const signs = node.state === 'up' ? `signed ${node.cosigned}` : '';
  const holds = releases
    .filter(({ holders }) => holders.includes(node.name))
    .map(({ model, version }) => `${model} ${version}`);
  const parts = [
    node.name.padEnd(10),
    node.state.padEnd(11),
    role.padEnd(39),
    head.padEnd(8),
    signs.padEnd(10),
  ];
  const held = holds.length > 0 && node.state === 'up' ? ` holds ${holds.join(', ')}` : '';
  return ` ${parts.join(' ')}${held}`;
}

function deviceCell(device: DemoDevice): string {
  const { version, kind } = device.running;
  const runs = version === '' ? (kind === '' ? 'off' : kind) : version;
  const state =
    device.progress === undefined
      ? version === '' || !device.isOn
        ? ''
        : device.freshness
      : bar(device.progress);
  const opaque = kind === 'opaque' ? ' (opaque)' : '';
  return ` ${device.name.padEnd(8)} ${`${runs}${opaque}`.padEnd(8)} ${state}`.padEnd(WIDTH / 2);
}

function bar(share: number): string {
  const full = Math.round(share * BAR);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${Math.floor(share * 100)} %`;
}

function pairs(cells: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += 2) lines.push(`${cells[i]}${cells[i + 1] ?? ''}`);
  return lines;
}
