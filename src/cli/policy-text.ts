/** A policy, and what a change of it changes, in lines for people who are asked to approve it. */
import { hex } from '../bytes.ts';
import { keyIdOf } from '../registry/key-id.ts';
import { memberName, type Orderer } from '../registry/orderer.ts';
import { nodesOf, type Policy } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

const SHOWN = [
  'version',
  'mode',
  'threshold',
  'quorum',
  'copies',
  'copiesElsewhere',
  'maxAge',
  'maxHold',
  'skew',
  'registration',
] as const;

/** Name and value of everything in a policy. */
export function policyRows(policy: Policy): ReadonlyMap<string, string> {
  const rows = new Map<string, string>(SHOWN.map((field) => [field, String(policy[field])]));
  for (const [name, value] of ordererRows(policy.orderer)) rows.set(name, value);
  rows.set('pskAuthors', String(policy.pskAuthors));
  rows.set('vendorProof', String(policy.vendorProof));
  for (const { name, kind, governance } of policy.operators)
    rows.set(`operator ${name}`, `${kind}, governance key ${hex(keyIdOf(governance))}`);
  for (const { name, node } of nodesOf(policy)) {
    rows.set(`node ${name}`, `${node.url} ${node.roles.join('+')}`);
    rows.set(`node ${name} TLS key`, hex(node.spki));
    rows.set(`node ${name} cosigner`, hex(node.cosigner.bytes));
    rows.set(`node ${name} receipt key`, hex(node.receipt.bytes));
    rows.set(`node ${name} statement key`, hex(node.statement.bytes));
  }
  return rows;
}

function ordererRows(orderer: Orderer): readonly (readonly [string, string])[] {
  if (orderer.engine === 'local')
    return [
      ['engine', 'local'],
      ['orderer', `${orderer.operator}/${orderer.node}`],
    ];
  return [
    ['engine', `cometbft, chain ${orderer.chain}`],
    ...orderer.members.map((member): readonly [string, string] => [
      `engine member ${memberName(member)}`,
      [
        member.validator ? 'validator' : 'no vote',
        member.address,
        `consensus key ${hex(member.key.bytes)}`,
        `p2p id ${hex(member.peer)}`,
      ].join(', '),
    ]),
  ];
}

/** A line a change: `- before`, `+ after`. */
export function policyChanges(from: Root, to: Root): readonly string[] {
  const before = policyRows(from.policy);
  const after = policyRows(to.policy);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((name) => {
    const [old, next] = [before.get(name), after.get(name)];
    if (old === next) return [];
    return [
      ...(old === undefined ? [] : [`- ${name}: ${old}`]),
      ...(next === undefined ? [] : [`+ ${name}: ${next}`]),
    ];
  });
}
