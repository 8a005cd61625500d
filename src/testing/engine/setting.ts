/** What a node process of a test engine is told, and the networks that parent and child both derive. */
import { fixtureNetwork, type FixtureNetwork } from '../fixture.ts';

export interface Setting {
  readonly engine: 'local' | 'cometbft';
  /** POSIX seconds of genesis. */
  readonly time: number;
  /** Its place among the nodes of the network. */
  readonly node: number;
  /** Takes part in ordering, or follows those who do. */
  readonly member: boolean;
  /** Path of the replica's database. */
  readonly database: string;
}

/** The last of three operators orders. */
export function localNetwork(time: number): FixtureNetwork {
  return fixtureNetwork({ operators: 3, time, label: 'engine' });
}
