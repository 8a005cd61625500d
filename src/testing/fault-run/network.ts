/** The network under test: four members of four operators, and a node that follows them. */
import { join } from 'node:path';
import { createNetwork, type NetworkPlan } from '../../node/setup.ts';
import { readNodeConfig, readNodeKeys, type NodeKeys } from '../../node/config.ts';
import { createClient, type Client } from '../../net/client.ts';
import type { Genesis } from '../../registry/genesis.ts';
import { nodesOf } from '../../registry/policy.ts';
import { createRoot, type Root } from '../../registry/root.ts';
import type { Machines } from './machines.ts';
import { FaultNode } from './node.ts';

export const MEMBERS = ['a/n1', 'b/n1', 'c/n1', 'd/n1'] as const;
export const FOLLOWER = 'd/n2';
export const NODES: readonly string[] = [...MEMBERS, FOLLOWER];

/** Seconds: empty blocks come every fourth of it. */
const MAX_HOLD = 60;

export interface FaultNetwork extends AsyncDisposable {
  readonly folder: string;
  readonly genesis: Genesis;
  readonly root: Root;
  readonly nodes: readonly FaultNode[];
  node(name: string): FaultNode;
  keys(name: string): NodeKeys;
  /** Knows the nodes' keys; with the credentials of the follower if it is to be one of them. */
  client(peer?: 'peer'): Client;
}

function planOn(machines: Machines): NetworkPlan {
  const node = (name: string): NetworkPlan['operators'][number]['nodes'][number] => {
    const { host, port, enginePort } = machines.of(name);
    return {
      name: name.split('/')[1] ?? '',
      roles: ['general', 'registration', 'retrieval'],
      url: `https://${host}:${port}`,
      host,
      port,
      replicate: 'all',
      ...(name !== FOLLOWER && { engine: { address: `${host}:${enginePort}` } }),
    };
  };
  return {
    mode: 'consortium',
    quorum: 3,
    copies: 3,
    copiesElsewhere: 2,
    threshold: 3,
    maxAge: 3600,
    maxHold: MAX_HOLD,
    skew: 120,
    engine: 'cometbft',
    orderer: '',
    operators: ['a', 'b', 'c', 'd'].map((operator, i) => ({
      name: operator,
      kind: i < 2 ? 'author' : 'non-author',
      nodes: NODES.filter((name) => name.startsWith(`${operator}/`)).map(node),
    })),
  };
}

/** Keys and folders; nothing runs yet. */
export async function createFaultNetwork(
  folder: string,
  machines: Machines,
  binary: string,
): Promise<FaultNetwork> {
  const directory = join(folder, 'network');
  const now = Math.floor(Date.now() / 1000);
  const { genesis, configs } = await createNetwork(planOn(machines), directory, now);
  const root = createRoot(genesis.networkId, genesis.policy);
  const named = nodesOf(genesis.policy);
  const nodes = NODES.map(
    (name) =>
      new FaultNode({
        name,
        configFile: configs.get(name) as string,
        url: named.find((each) => each.name === name)?.node.url as string,
        through: machines.of(name).through,
        binary,
        control: join(folder, `control-${name.replace('/', '-')}`),
      }),
  );
  const node = (name: string): FaultNode => nodes.find((each) => each.name === name) as FaultNode;
  const keys = (name: string): NodeKeys =>
    readNodeKeys(readNodeConfig(configs.get(name) as string).keys);
  return {
    folder,
    genesis,
    root,
    nodes,
    node,
    keys,
    client: (peer) =>
      createClient({
        pins: (origin) => named.find(({ node: { url } }) => url === origin)?.node.spki,
        ...(peer && { credentials: keys(FOLLOWER).tls }),
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map((each) => each.end()));
    },
  };
}
