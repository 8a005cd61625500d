/** The file that goes from operator to operator until enough of them have approved a policy change (T08). */
import { readFileSync } from 'node:fs';
import { fromHex, hex } from '../bytes.ts';
import { decodeKey } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Operator, Policy, PolicyNode, Role } from '../registry/policy.ts';
import type { PolicyApproval } from '../registry/policy-change.ts';
import { createRoot, parseRoot, type Root } from '../registry/root.ts';

export interface Proposal {
  /** The root in force. */
  readonly from: Root;
  /** The root that is proposed: the next version. */
  readonly to: Root;
  readonly approvals: readonly PolicyApproval[];
}

type Json = Readonly<Record<string, unknown>>;

const TYPE = 'firmament/policy-proposal/v1';
const MAX_FILE = 4 << 20;
const NUMBERS = [
  'threshold',
  'quorum',
  'copies',
  'copiesElsewhere',
  'maxAge',
  'maxHold',
  'skew',
] as const;

/** What may be changed, as the member list of `network init` names it. */
export interface Changes {
  readonly numbers: Readonly<Partial<Record<(typeof NUMBERS)[number], number>>>;
  /** OPERATOR/NODE. */
  readonly orderer?: string;
  readonly registration?: Policy['registration'];
  /** An operator of a name that is there takes its place. */
  readonly add: readonly Operator[];
  readonly remove: readonly string[];
}

/** The next policy with these changes. Errors: POLICY_*. */
export function propose(from: Root, changes: Changes): Proposal {
  const { policy } = from;
  const gone = [...changes.remove, ...changes.add.map(({ name }) => name)];
  for (const name of changes.remove)
    check(
      policy.operators.some((operator) => operator.name === name),
      'POLICY_MALFORMED',
      `no operator ${name}`,
    );
  const operators = [
    ...policy.operators.filter(({ name }) => !gone.includes(name)),
    ...changes.add,
  ].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const [operator = '', node = ''] = changes.orderer?.split('/') ?? [
    policy.orderer.operator,
    policy.orderer.node,
  ];
  const next: Policy = {
    ...policy,
    ...changes.numbers,
    ...(changes.registration && { registration: changes.registration }),
    version: policy.version + 1,
    operators,
    orderer: { engine: 'local', operator, node },
  };
  return { from, to: createRoot(from.networkId, next), approvals: [] };
}

export function encodeProposal({ from, to, approvals }: Proposal): string {
  const json = {
    type: TYPE,
    network: hex(from.networkId),
    from: hex(from.bytes),
    to: hex(to.bytes),
    approvals: approvals.map(({ operator, signature }) => ({
      operator,
      signature: hex(signature),
    })),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

/** Errors: NODE_CONFIG, POLICY_*. */
export function readProposal(path: string): Proposal {
  const json = readJson(path);
  check(json['type'] === TYPE, 'NODE_CONFIG', `${path} is no policy proposal`);
  const approvals = json['approvals'];
  check(Array.isArray(approvals), 'NODE_CONFIG', '"approvals" is no list');
  const from = parseRoot(bytesOf(json, 'from'));
  const to = parseRoot(bytesOf(json, 'to'));
  check(hex(from.networkId) === hex(to.networkId), 'NODE_CONFIG', 'roots of two networks');
  return {
    from,
    to,
    approvals: approvals.map((approval: unknown) => {
      const fields = objectOf(approval, 'an approval');
      return { operator: textOf(fields, 'operator'), signature: bytesOf(fields, 'signature') };
    }),
  };
}

/** Changes from a JSON file of the member list's fields. Errors: NODE_CONFIG. */
export function readChanges(path: string): Pick<Changes, 'numbers' | 'orderer' | 'registration'> {
  const json = readJson(path);
  const known: readonly string[] = [...NUMBERS, 'orderer', 'registration'];
  for (const field of Object.keys(json))
    check(
      known.includes(field),
      'NODE_CONFIG',
      `unknown field "${field}"; known: ${known.join(', ')}`,
    );
  const numbers = Object.fromEntries(
    NUMBERS.filter((field) => json[field] !== undefined).map((field) => [
      field,
      wholeOf(json, field),
    ]),
  );
  const registration = json['registration'];
  check(
    registration === undefined || registration === 'open' || registration === 'approval',
    'NODE_CONFIG',
    '"registration" is open or approval',
  );
  return {
    numbers,
    ...(json['orderer'] !== undefined && { orderer: textOf(json, 'orderer') }),
    ...(registration && { registration }),
  };
}

/** An operator's public part, as its own people hand it over: keys in hex. Errors: NODE_CONFIG. */
export function readOperator(path: string): Operator {
  const json = readJson(path);
  const kind = json['kind'];
  check(
    kind === 'author' || kind === 'non-author',
    'NODE_CONFIG',
    '"kind" is author or non-author',
  );
  const nodes = json['nodes'];
  check(Array.isArray(nodes), 'NODE_CONFIG', '"nodes" is no list');
  const governance = bytesOf(json, 'governance');
  decodeKey(governance);
  return {
    name: textOf(json, 'name'),
    kind,
    governance,
    nodes: nodes.map(nodeOf).toSorted(byName),
  };
}

/** What `readOperator` reads. */
export function encodeOperator({ name, kind, governance, nodes }: Operator): string {
  const json = {
    name,
    kind,
    governance: hex(governance),
    nodes: nodes.map((node) => ({
      name: node.name,
      roles: node.roles,
      url: node.url,
      spki: hex(node.spki),
      cosigner: hex(node.cosigner.bytes),
      receipt: hex(node.receipt.bytes),
      statement: hex(node.statement.bytes),
    })),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function nodeOf(value: unknown): PolicyNode {
  const json = objectOf(value, 'a node');
  const roles = json['roles'];
  check(Array.isArray(roles), 'NODE_CONFIG', '"roles" is no list');
  const key = (field: string): PublicKey => ({ curve: 'Ed25519', bytes: bytesOf(json, field) });
  return {
    name: textOf(json, 'name'),
    roles: roles.map(String).toSorted() as readonly Role[],
    url: textOf(json, 'url'),
    spki: bytesOf(json, 'spki'),
    cosigner: key('cosigner'),
    receipt: key('receipt'),
    statement: key('statement'),
  };
}

function byName(a: PolicyNode, b: PolicyNode): number {
  return a.name < b.name ? -1 : 1;
}

function readJson(path: string): Json {
  const text = readFileSync(path, 'utf8');
  check(text.length <= MAX_FILE, 'NODE_CONFIG', `${path} is too large`);
  try {
    return objectOf(JSON.parse(text), path);
  } catch (cause) {
    if (codeOf(cause)) throw cause;
    return fail('NODE_CONFIG', `${path} is not JSON`, {}, cause);
  }
}

function objectOf(value: unknown, what: string): Json {
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'NODE_CONFIG',
    `${what} is no object`,
  );
  return value as Json;
}

function textOf(json: Json, field: string): string {
  const value = json[field];
  return typeof value === 'string'
    ? value
    : fail('NODE_CONFIG', `"${field}" is missing or no text`);
}

function bytesOf(json: Json, field: string): Uint8Array {
  try {
    return fromHex(textOf(json, field));
  } catch (cause) {
    return fail('NODE_CONFIG', `"${field}" is not hex`, {}, cause);
  }
}

function wholeOf(json: Json, field: string): number {
  const value = json[field];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : fail('NODE_CONFIG', `"${field}" is no whole number`);
}
