/** What a node process of a test engine is told, and the networks that parent and child both derive. */
import { fixtureConsortium, fixtureNetwork, type FixtureNetwork } from '../fixture.ts';

export interface Setting {
  /** POSIX seconds of genesis. */
  readonly time: number;
  /** Path of the replica's database. */
  readonly database: string;
  /** Its place among the network's nodes; undefined: it follows those who order. */
  readonly orders: number | undefined;
  /** Under the consortium engine only. */
  readonly comet?: CometSetting;
}

export interface CometSetting {
  /** HOST:PORT of each member's p2p listener: every operator's only node is a member. */
  readonly addresses: readonly string[];
  readonly binary: string;
  readonly home: string;
}

/** The last of three operators orders. */
export function localNetwork(time: number): FixtureNetwork {
  return fixtureNetwork({ operators: 3, time, label: 'engine' });
}

/** As many operators as there are addresses, each with a validator. */
export function cometNetwork(time: number, addresses: readonly string[]): FixtureNetwork {
  const options = { operators: addresses.length, time, label: 'engine' };
  const { nodes } = fixtureNetwork(options);
  const addressOf = (name: string): string =>
    addresses[nodes.findIndex((node) => node.name === name)] as string;
  return fixtureNetwork({
    ...options,
    policy: { orderer: fixtureConsortium(nodes, 1, addressOf) },
  });
}

export function networkOf({ time, comet }: Setting): FixtureNetwork {
  return comet ? cometNetwork(time, comet.addresses) : localNetwork(time);
}
