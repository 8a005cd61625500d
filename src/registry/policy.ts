/** The network's policy: operators, their nodes and keys, and the numbers that rule trust (docs/spec/genesis.md). */
import { decodeKey } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { checkPublicKey } from '#crypto';
import { compare, hex } from '../bytes.ts';
import { asArray, asBool, asBytes, asMap, asText, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { keyId } from '../log/cosignature.ts';
import { checkOrderer, ordererToCbor, parseOrderer, type Orderer } from './orderer.ts';

export type Mode = 'private' | 'consortium' | 'trial';
export type Role = 'general' | 'registration' | 'retrieval';

export interface PolicyNode {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly url: string;
  /** SHA-256 of the TLS key's SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly cosigner: PublicKey;
  readonly receipt: PublicKey;
  readonly statement: PublicKey;
}

export interface Operator {
  readonly name: string;
  readonly kind: 'author' | 'non-author';
  /** COSE_Key bytes. */
  readonly governance: Uint8Array;
  readonly nodes: readonly PolicyNode[];
}

export interface Policy {
  readonly version: number;
  readonly mode: Mode;
  readonly operators: readonly Operator[];
  /** Governance threshold g. */
  readonly threshold: number;
  /** k: how many different operators must cosign a head. */
  readonly quorum: number;
  /** R: how many operators must hold an image. */
  readonly copies: number;
  /** N: how many of them must not be the author's. */
  readonly copiesElsewhere: number;
  /** Seconds. */
  readonly maxAge: number;
  readonly maxHold: number;
  readonly skew: number;
  readonly registration: 'open' | 'approval';
  readonly pskAuthors: boolean;
  readonly vendorProof: boolean;
  readonly orderer: Orderer;
}

const STORE_PROFILE = 'unixfs-256k-raw-1024';
const NAME = /^[a-z0-9-]{1,32}$/;
const ROLES: readonly string[] = ['general', 'registration', 'retrieval'];

/** Name of a node across the network: signs cosignatures and statements under it. */
export function nodeName(operator: Operator, node: PolicyNode): string {
  return `${operator.name}/${node.name}`;
}

/** The issuer text of a node's statements. */
export function nodeIssuer(name: string): string {
  const [operator = '', node = ''] = name.split('/');
  return `operator/${operator}/node/${node}`;
}

export interface NamedNode {
  readonly name: string;
  readonly operator: Operator;
  readonly node: PolicyNode;
}

export function nodesOf(policy: Policy): readonly NamedNode[] {
  return policy.operators.flatMap((operator) =>
    operator.nodes.map((node) => ({ name: nodeName(operator, node), operator, node })),
  );
}

/** f: how many operators may be faulty. */
export function faulty(operators: number): number {
  return Math.floor((operators - 1) / 3);
}

export function policyToCbor(policy: Policy): Cbor {
  return new Map<Cbor, Cbor>([
    [1, policy.version],
    [2, policy.mode],
    [3, policy.operators.map(operatorToCbor)],
    [4, policy.threshold],
    [5, policy.quorum],
    [6, policy.copies],
    [7, policy.copiesElsewhere],
    [8, policy.maxAge],
    [9, policy.maxHold],
    [10, policy.skew],
    [11, policy.registration],
    [12, policy.pskAuthors],
    [13, policy.vendorProof],
    [14, ordererToCbor(policy.orderer)],
    [15, STORE_PROFILE],
  ]);
}

function operatorToCbor(operator: Operator): Cbor {
  return new Map<Cbor, Cbor>([
    [1, operator.name],
    [2, operator.kind],
    [3, operator.governance],
    [
      4,
      operator.nodes.map(
        (node) =>
          new Map<Cbor, Cbor>([
            [1, node.name],
            [2, node.roles],
            [3, node.url],
            [4, node.spki],
            [5, node.cosigner.bytes],
            [6, node.receipt.bytes],
            [7, node.statement.bytes],
          ]),
      ),
    ],
  ]);
}

/** A policy that satisfies T09. Errors: POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED. */
export function policyFromCbor(value: Cbor): Policy {
  const policy = shaped(() => parsePolicy(value));
  checkPolicy(policy);
  return policy;
}

/** Runs a parser and gives its CBOR and key errors one code of the policy's own. */
export function shaped<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code.startsWith('POLICY_')) throw cause;
    return fail('POLICY_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
  }
}

function parsePolicy(value: Cbor): Policy {
  const map = asMap(value, 'policy');
  onlyKeys(map, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 'policy');
  const get = (key: number): Cbor => map.get(key) ?? null;
  check(get(15) === STORE_PROFILE, 'POLICY_MALFORMED', 'unknown store profile');
  return {
    version: asUint(get(1), 'version'),
    mode: oneOf(get(2), ['private', 'consortium', 'trial'], 'mode'),
    operators: asArray(get(3), 'operators').map(parseOperator),
    threshold: asUint(get(4), 'governance threshold'),
    quorum: asUint(get(5), 'quorum'),
    copies: asUint(get(6), 'copies'),
    copiesElsewhere: asUint(get(7), 'copies elsewhere'),
    maxAge: asUint(get(8), 'maxAge'),
    maxHold: asUint(get(9), 'maxHold'),
    skew: asUint(get(10), 'skew'),
    registration: oneOf(get(11), ['open', 'approval'], 'registration'),
    pskAuthors: asBool(get(12), 'PSK authors'),
    vendorProof: asBool(get(13), 'vendor proof'),
    orderer: parseOrderer(get(14)),
  };
}

function parseOperator(value: Cbor): Operator {
  const map = asMap(value, 'operator');
  onlyKeys(map, [1, 2, 3, 4], 'operator');
  const governance = asBytes(map.get(3) ?? null, 'governance key', { max: 256 });
  decodeKey(governance);
  return {
    name: named(map.get(1) ?? null, 'operator name'),
    kind: oneOf(map.get(2) ?? null, ['author', 'non-author'], 'operator kind'),
    governance,
    nodes: asArray(map.get(4) ?? null, 'nodes').map(parseNode),
  };
}

function parseNode(value: Cbor): PolicyNode {
  const map = asMap(value, 'node');
  onlyKeys(map, [1, 2, 3, 4, 5, 6, 7], 'node');
  const roles = asArray(map.get(2) ?? null, 'roles').map(
    (role) => oneOf(role, ROLES, 'role') as Role,
  );
  check(
    roles.length > 0 && roles.every((role, i) => i === 0 || (roles[i - 1] as Role) < role),
    'POLICY_MALFORMED',
    'roles are listed once each, sorted',
  );
  const url = asText(map.get(3) ?? null, 'node URL', 256);
  check(
    /^https:\/\/[^/?#\s]+$/.test(url),
    'POLICY_MALFORMED',
    'a node URL is https, an authority and no path',
  );
  return {
    name: named(map.get(1) ?? null, 'node name'),
    roles,
    url,
    spki: asBytes(map.get(4) ?? null, 'SPKI', 32),
    cosigner: ed25519(map.get(5) ?? null, 'cosigner key'),
    receipt: ed25519(map.get(6) ?? null, 'receipt key'),
    statement: ed25519(map.get(7) ?? null, 'statement key'),
  };
}

function ed25519(value: Cbor, what: string): PublicKey {
  const key: PublicKey = { curve: 'Ed25519', bytes: asBytes(value, what, 32) };
  checkPublicKey(key);
  return key;
}

function named(value: Cbor, what: string): string {
  const name = asText(value, what, 32);
  check(NAME.test(name), 'POLICY_MALFORMED', `${what} is 1 to 32 of a-z 0-9 -`);
  return name;
}

function oneOf<const T extends string>(value: Cbor, allowed: readonly T[], what: string): T {
  const found = allowed.find((option) => option === value);
  return found ?? fail('POLICY_MALFORMED', `${what} is none of ${allowed.join(', ')}`);
}

/** T09 and what else a policy must satisfy. Errors: POLICY_QUORUM, POLICY_KEY_REUSED, POLICY_MALFORMED. */
export function checkPolicy(policy: Policy): void {
  const n = policy.operators.length;
  check(policy.version >= 1, 'POLICY_MALFORMED', 'policy versions start at 1');
  check(n >= 1 && n <= 64, 'POLICY_QUORUM', 'a network has 1 to 64 operators');
  sortedByName(policy.operators, 'operators');
  for (const operator of policy.operators) {
    check(
      operator.nodes.length >= 1 && operator.nodes.length <= 16,
      'POLICY_MALFORMED',
      'an operator has 1 to 16 nodes',
    );
    sortedByName(operator.nodes, 'nodes');
  }
  distinctKeys(policy);
  distinctKeyIds(policy);
  check(
    policy.threshold >= 1 && policy.threshold <= n,
    'POLICY_QUORUM',
    'the governance threshold is 1 to n',
  );
  check(
    policy.maxHold > 0 && policy.maxHold < policy.maxAge,
    'POLICY_QUORUM',
    '0 < maxHold < maxAge',
  );
  check(policy.copies >= 1 && policy.copies <= n, 'POLICY_QUORUM', 'copies R is 1 to n');
  check(
    policy.copiesElsewhere <= policy.copies && policy.copiesElsewhere <= n - 1,
    'POLICY_QUORUM',
    'copies elsewhere N is at most R and at most n - 1',
  );
  checkOrderer(policy.orderer, {
    version: policy.version,
    trial: policy.mode === 'trial',
    nodes: nodesOf(policy).map(({ name }) => name),
  });
  check(
    !policy.pskAuthors || policy.mode === 'private',
    'POLICY_QUORUM',
    'PSK authors only in private mode',
  );
  checkQuorum(policy, n);
}

// T09: a quorum that f faulty operators can neither stop nor forge, and that no author's end can stop.
function checkQuorum(policy: Policy, n: number): void {
  const k = policy.quorum;
  check(k >= 1 && k <= n, 'POLICY_QUORUM', 'the quorum is 1 to n');
  if (policy.mode === 'trial') {
    check(n <= 2, 'POLICY_QUORUM', 'mode trial is for one or two operators');
    return;
  }
  const f = faulty(n);
  check(n >= 3, 'POLICY_QUORUM', 'fewer than three operators is mode trial');
  const least = Math.max(2 * f + 1, Math.floor((n + f) / 2) + 1);
  const small = `quorum ${k} of ${n} operators: ${least} at least`;
  check(k >= 2 * f + 1, 'POLICY_QUORUM', small);
  check(2 * k - n > f, 'POLICY_QUORUM', small);
  check(
    n - 1 >= k || policy.operators.every((operator) => operator.kind === 'non-author'),
    'POLICY_QUORUM',
    'for every author the other operators reach k alone',
  );
  check(
    policy.copiesElsewhere >= 1,
    'POLICY_QUORUM',
    'an image is held by somebody else than its author',
  );
}

function sortedByName(list: readonly { readonly name: string }[], what: string): void {
  const ordered = list.every(
    (entry, i) => i === 0 || (list[i - 1] as { name: string }).name < entry.name,
  );
  check(ordered, 'POLICY_MALFORMED', `${what} are sorted by name, each once`);
}

// A C2SP key id has four bytes: an operator could make a key whose id is another's, and spoil every proof of it.
function distinctKeyIds(policy: Policy): void {
  const ids = nodesOf(policy).map(({ name, node }) => hex(keyId(name, node.cosigner)));
  check(
    new Set(ids).size === ids.length,
    'POLICY_KEY_REUSED',
    'two cosigner keys have the same key id',
  );
}

function distinctKeys(policy: Policy): void {
  const keys = [
    ...policy.operators.map((operator) => decodeKey(operator.governance).bytes),
    ...nodesOf(policy).flatMap(({ node }) => [
      node.cosigner.bytes,
      node.receipt.bytes,
      node.statement.bytes,
    ]),
    ...(policy.orderer.engine === 'cometbft' ? policy.orderer.members : []).map(
      ({ key }) => key.bytes,
    ),
  ].toSorted(compare);
  const twice = keys.find((key, i) => i > 0 && compare(keys[i - 1] as Uint8Array, key) === 0);
  check(twice === undefined, 'POLICY_KEY_REUSED', undefined, { key: twice && hex(twice) });
}
