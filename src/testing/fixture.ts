/** Networks, authors and releases for tests: real keys, the same on every run. */
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../bytes.ts';
import type { Cbor } from '../cbor/value.ts';
import { encodeKey, thumbprint } from '../cose/key.ts';
import type { Curve, PrivateKey } from '../crypto/key.ts';
import { createGenesis, type Genesis } from '../registry/genesis.ts';
import { lineKey, lineOf, releaseText, type Line } from '../registry/line.ts';
import type { ConsortiumOrderer } from '../registry/orderer.ts';
import { faulty, nodeIssuer, type Policy, type Role } from '../registry/policy.ts';
import { createRoot, type Root } from '../registry/root.ts';
import { createStatement, type Statement } from '../registry/statement.ts';
import type { Signer } from '../author/statements.ts';

export interface FixtureNode {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly operator: string;
  readonly node: string;
  readonly url: string;
  readonly cosigner: PrivateKey;
  readonly receipt: PrivateKey;
  readonly statement: PrivateKey;
  /** Signs votes when the node is a validator of the consortium engine. */
  readonly consensus: PrivateKey;
  readonly p2p: PrivateKey;
}

export interface FixtureOperator {
  readonly name: string;
  readonly kind: 'author' | 'non-author';
  readonly governance: PrivateKey;
  readonly nodes: readonly FixtureNode[];
}

export interface FixtureNetwork {
  readonly genesis: Genesis;
  readonly root: Root;
  readonly operators: readonly FixtureOperator[];
  /** Every operator's nodes, in order. */
  readonly nodes: readonly FixtureNode[];
  /** The last operator's first node. */
  readonly orderer: FixtureNode;
}

export interface FixtureNetworkOptions {
  /** 4 unless said otherwise; one or two make a network of mode `trial`. */
  readonly operators?: number;
  /** How many of them are of kind `author`: half, rounded down. */
  readonly authors?: number;
  readonly nodesEach?: number;
  readonly quorum?: number;
  readonly url?: (name: string) => string;
  /** SHA-256 of a node's TLS key. */
  readonly spki?: (name: string) => Uint8Array;
  readonly roles?: (name: string) => readonly Role[];
  readonly policy?: Partial<Policy>;
  /** `cometbft`: every operator's first node is a validator. */
  readonly engine?: 'local' | 'cometbft';
  /** POSIX seconds. */
  readonly time?: number;
  /** Another label makes other keys. */
  readonly label?: string;
}

export const FIXTURE_TIME = 1_800_000_000;

/** A private key that follows from a name. */
export function fixtureKey(name: string, curve: Curve = 'Ed25519'): PrivateKey {
  return privateKey(curve, sha256(utf8(`firmament fixture ${name}`)));
}

/** Operators a, b, c, ... each with nodes n1, n2, ...; the first ones are authors, the last orders. */
export function fixtureNetwork(options: FixtureNetworkOptions = {}): FixtureNetwork {
  const count = options.operators ?? 4;
  const authors = options.authors ?? Math.floor(count / 2);
  const label = options.label ?? 'net';
  const url = options.url ?? ((name) => `https://${name.replace('/', '-')}.test:8443`);
  const operators = Array.from({ length: count }, (_, i): FixtureOperator => {
    const name = String.fromCodePoint(97 + i);
    return {
      name,
      kind: i < authors ? 'author' : 'non-author',
      governance: fixtureKey(`${label} governance ${name}`),
      nodes: Array.from({ length: options.nodesEach ?? 1 }, (_each, n) =>
        fixtureNode(label, name, `n${n + 1}`, url),
      ),
    };
  });
  const nodes = operators.flatMap((operator) => operator.nodes);
  const orderer = operators.at(-1)?.nodes[0] as FixtureNode;
  const policy = fixturePolicy(operators, orderer, options);
  const genesis = createGenesis(options.time ?? FIXTURE_TIME, policy);
  return {
    genesis,
    root: createRoot(genesis.networkId, genesis.policy),
    operators,
    nodes,
    orderer,
  };
}

function fixtureNode(
  label: string,
  operator: string,
  node: string,
  url: (name: string) => string,
): FixtureNode {
  const name = `${operator}/${node}`;
  return {
    name,
    operator,
    node,
    url: url(name),
    cosigner: fixtureKey(`${label} cosigner ${name}`),
    receipt: fixtureKey(`${label} receipt ${name}`),
    statement: fixtureKey(`${label} statement ${name}`),
    consensus: fixtureKey(`${label} consensus ${name}`),
    p2p: fixtureKey(`${label} p2p ${name}`),
  };
}

/** These nodes as members, each with a vote; `address` gives HOST:PORT of a name. */
export function fixtureConsortium(
  nodes: readonly FixtureNode[],
  chain = 1,
  address: (name: string) => string = (name) => `${name.replace('/', '-')}.test:26656`,
): ConsortiumOrderer {
  return {
    engine: 'cometbft',
    chain,
    members: nodes.map((node) => ({
      operator: node.operator,
      node: node.node,
      key: node.consensus.publicKey,
      peer: sha256(node.p2p.publicKey.bytes).subarray(0, 20),
      address: address(node.name),
      validator: true,
    })),
  };
}

function fixturePolicy(
  operators: readonly FixtureOperator[],
  orderer: FixtureNode,
  options: FixtureNetworkOptions,
): Policy {
  const n = operators.length;
  const f = faulty(n);
  const spki = options.spki ?? ((name) => sha256(utf8(`spki ${name}`)));
  const roles = options.roles ?? ((): readonly Role[] => ['general', 'registration', 'retrieval']);
  return {
    version: 1,
    mode: n <= 2 ? 'trial' : 'consortium',
    operators: operators.map(({ name, kind, governance, nodes }) => ({
      name,
      kind,
      governance: encodeKey(governance.publicKey),
      nodes: nodes.map((node) => ({
        name: node.node,
        roles: roles(node.name),
        url: node.url,
        spki: spki(node.name),
        cosigner: node.cosigner.publicKey,
        receipt: node.receipt.publicKey,
        statement: node.statement.publicKey,
      })),
    })),
    threshold: Math.max(1, n - 1),
    // T09: the smallest k with k >= 2f + 1 and 2k - n > f.
    quorum: options.quorum ?? Math.max(2 * f + 1, Math.floor((n + f) / 2) + 1),
    copies: Math.min(3, n),
    copiesElsewhere: Math.min(2, n - 1),
    maxAge: 86_400,
    maxHold: 3600,
    skew: 120,
    registration: 'open',
    pskAuthors: false,
    vendorProof: false,
    orderer:
      options.engine === 'cometbft'
        ? fixtureConsortium(operators.flatMap((operator) => operator.nodes.slice(0, 1)))
        : { engine: 'local', operator: orderer.operator, node: orderer.node },
    ...options.policy,
  };
}

export interface FixtureAuthor extends Signer {
  readonly name: string;
  readonly recovery: readonly PrivateKey[];
}

export function fixtureAuthor(
  networkId: Uint8Array,
  options: { readonly name?: string; readonly curve?: Curve } = {},
): FixtureAuthor {
  const name = options.name ?? 'acme';
  const key = fixtureKey(`author ${name}`, options.curve ?? 'P-256');
  return {
    name,
    key,
    author: thumbprint(key.publicKey),
    networkId,
    recovery: [fixtureKey(`author ${name} recovery`, 'P-256')],
  };
}

/** A line of the author for one of its models. */
export function fixtureLine(author: Uint8Array, model = 'lamp', track = 'stable'): Line {
  const vendor = sha256(utf8('vendor acme')).subarray(0, 16);
  return lineOf({ author, vendor, class: sha256(utf8(`class ${model}`)).subarray(0, 16), track });
}

/** image.hold (`until` given) or image.drop by a node. */
export function holdStatement(
  node: Omit<FixtureNode, 'consensus' | 'p2p'>,
  networkId: Uint8Array,
  counter: bigint,
  hold: {
    readonly line: Line;
    readonly release: Uint8Array;
    readonly image: Uint8Array;
    readonly until?: number;
  },
): Statement {
  const payload = new Map<Cbor, Cbor>([
    [1, lineKey(hold.line)],
    [2, hold.release],
    [3, hold.image],
  ]);
  if (hold.until !== undefined) payload.set(4, hold.until);
  return createStatement(
    node.statement,
    {
      kind: hold.until === undefined ? 'image.drop' : 'image.hold',
      issuer: nodeIssuer(node.name),
      subject: releaseText(hold.line, hold.release),
      network: hex(networkId),
      counter,
    },
    payload,
  );
}
