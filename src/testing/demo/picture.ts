/** What the picture shows: nodes with what they signed and hold, devices with what they run. */
import type { DemoRelease } from './author.ts';
import type { DemoDevice } from './device.ts';
import type { DemoNode } from './network.ts';

export interface Shown {
  readonly nodes: readonly DemoNode[];
  readonly orderers: readonly string[];
  readonly devices: readonly DemoDevice[];
  readonly releases: readonly (DemoRelease & { readonly model: string })[];
}

const WIDTH = 88;
const BAR = 12;

export function drawPicture({ nodes, orderers, devices, releases }: Shown): readonly string[] {
  return [
    '',
    titled('nodes'),
    ...nodes.map((node) => nodeLine(node, orderers.includes(node.name), releases)),
    titled('devices'),
    ...pairs(devices.map(deviceCell)),
    '─'.repeat(WIDTH),
  ];
}

function titled(title: string): string {
  return `── ${title} ${'─'.repeat(WIDTH - title.length - 4)}`;
}

const SHORT: Readonly<Record<string, string>> = {
  general: 'gen',
  registration: 'reg',
  retrieval: 'ret',
};

function nodeLine(node: DemoNode, orders: boolean, releases: Shown['releases']): string {
  const { name, kind, state, size, cosigned } = node;
  const roles = [...node.roles.map((role) => SHORT[role] ?? role), ...(orders ? ['orders'] : [])];
  const log = state === 'up' ? `log ${size}, signed ${cosigned}` : state;
  const parts = [name.padEnd(9), kind.padEnd(10), roles.join(' ').padEnd(14), log.padEnd(18)];
  return ` ${parts.join(' ')} ${state === 'up' ? holds(name, releases) : ''}`;
}

/** `lamp 1.0.0 2.0.0, lock 1.0.0` */
function holds(node: string, releases: Shown['releases']): string {
  const held = releases.filter(({ holders }) => holders.includes(node));
  return [...Map.groupBy(held, ({ model }) => model)]
    .map(([model, versions]) => [model, ...versions.map(({ version }) => version)].join(' '))
    .join(', ');
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
