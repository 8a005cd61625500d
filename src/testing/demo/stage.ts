/** What the demo's steps share. */
import type { Attacker } from '../attacker.ts';
import type { DemoAuthor, DemoRelease } from './author.ts';
import type { Commands } from './commands.ts';
import type { DemoDevice } from './device.ts';
import type { DemoImages, Model } from './images.ts';
import type { DemoNetwork } from './network.ts';
import type { Rows } from './rows.ts';
import type { Screen } from './screen.ts';

export interface PublishedRelease extends DemoRelease {
  readonly model: Model;
}

export interface Stage {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly screen: Screen;
  readonly rows: Rows;
  readonly commands: Commands;
  readonly network: DemoNetwork;
  readonly author: DemoAuthor;
  readonly images: DemoImages;
  readonly devices: DemoDevice[];
  readonly releases: PublishedRelease[];
  /** What disposes of itself when the demo ends. */
  readonly cleanup: AsyncDisposableStack;
  /** A device as its maker ships it, not switched on. */
  readonly ship: (name: string, model: string) => Promise<DemoDevice>;
}

export function deviceNamed({ devices }: Stage, name: string): DemoDevice {
  const found = devices.find((device) => device.name === name);
  if (!found) throw new Error(`no device ${name}`);
  return found;
}

export function releaseOf({ releases }: Stage, model: Model, version: string): PublishedRelease {
  const found = releases.find((one) => one.model === model && one.version === version);
  if (!found) throw new Error(`no release ${version} of ${model}`);
  return found;
}

/** The four that run from the beginning to the end. */
export const HOUSEHOLD = ['lamp-1', 'lamp-2', 'lock-1', 'lock-2'] as const;
/** Got 1.0.0 and went into a drawer: the one that the attacker tries everything on. */
export const VICTIM = 'lamp-3';
/** Fresh from the factory, when the author's node is gone. */
export const NEWCOMER = 'lock-3';
/** Fresh from the factory, when a store is damaged. */
export const LATECOMER = 'lamp-4';

export function household(stage: Stage): readonly DemoDevice[] {
  return HOUSEHOLD.map((name) => deviceNamed(stage, name));
}

/** What the attacks begin with. */
export interface Loot {
  readonly attacker: Attacker;
  /** The true `latest` answer of the lamps, from when 1.0.0 was the newest. */
  readonly staleLatest: Uint8Array;
  /** The true envelope of 1.0.0. */
  readonly oldEnvelope: Uint8Array;
}
