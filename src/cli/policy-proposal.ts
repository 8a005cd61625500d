/** The file that goes from operator to operator until enough of them have approved a policy change (T08). */
import { hex } from '../bytes.ts';
import { decodeKey } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import { memberName, type EngineMember, type Orderer } from '../registry/orderer.ts';
import type { Operator, Policy, PolicyNode, Role } from '../registry/policy.ts';
import type { PolicyApproval } from '../registry/policy-change.ts';
import { createRoot, parseRoot, type Root } from '../registry/root.ts';
import { memberOfJson } from './engine-member-file.ts';
import { bytesOf, objectOf, readJson, textOf, wholeOf } from './json-fields.ts';

export interface Proposal {
  /** The root in force. */
  readonly from: Root;
  /** The root that is proposed: the next version. */
  readonly to: Root;
  readonly approvals: readonly PolicyApproval[];
}

const TYPE = 'firmament/policy-proposal/v1';
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
  /** Members of the consortium engine: one of a name that is there takes its place. */
  readonly addMembers: readonly EngineMember[];
  /** OPERATOR/NODE. */
  readonly removeMembers: readonly string[];
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
  const next: Policy = {
    ...policy,
    ...changes.numbers,
    ...(changes.registration && { registration: changes.registration }),
    version: policy.version + 1,
    operators,
    orderer: nextOrderer(policy, changes),
  };
  return { from, to: createRoot(from.networkId, next), approvals: [] };
}

function nextOrderer({ orderer, version }: Policy, changes: Changes): Orderer {
  const { addMembers, removeMembers } = changes;
  if (changes.orderer !== undefined) {
    const [operator = '', node = ''] = changes.orderer.split('/');
    return { engine: 'local', operator, node };
  }
  if (addMembers.length === 0 && removeMembers.length === 0) return orderer;
  const before = orderer.engine === 'cometbft' ? orderer.members : [];
  for (const name of removeMembers)
    check(
      before.some((member) => memberName(member) === name),
      'POLICY_MALFORMED',
      `no engine member ${name}`,
    );
  const gone = [...removeMembers, ...addMembers.map(memberName)];
  return {
    engine: 'cometbft',
    chain: orderer.engine === 'cometbft' ? orderer.chain : version + 1,
    members: [
      ...before.filter((member) => !gone.includes(memberName(member))),
      ...addMembers,
    ].toSorted((a, b) => (memberName(a) < memberName(b) ? -1 : 1)),
  };
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
export function readChanges(
  path: string,
): Pick<Changes, 'numbers' | 'orderer' | 'registration' | 'addMembers'> {
  const json = readJson(path);
  const known: readonly string[] = [...NUMBERS, 'orderer', 'registration', 'engine'];
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
    addMembers: json['engine'] === undefined ? [] : membersOf(json['engine']),
  };
}

function membersOf(value: unknown): readonly EngineMember[] {
  const { members } = objectOf(value, '"engine"');
  check(Array.isArray(members), 'NODE_CONFIG', '"engine.members" is no list');
  return members.map(memberOfJson);
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
