/** `firmament policy ...`: operators change the network's policy together (T08), and appoint another orderer (T12). */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hex, utf8 } from '../bytes.ts';
import { decodePrivateKey } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { replaceDurably } from '../ledger/durable-file.ts';
import { parseOperatorPlan } from '../node/plan.ts';
import { createOperator } from '../node/setup.ts';
import { submitPolicy } from '../node/submit-policy.ts';
import { parseGenesis } from '../registry/genesis.ts';
import {
  approvedBy,
  approvePolicy,
  nextRoot,
  policyStatement,
  type PolicyApproval,
} from '../registry/policy-change.ts';
import { parseRoot, type Root } from '../registry/root.ts';
import type { Statement } from '../registry/statement.ts';
import {
  answer,
  noPositionals,
  onlyPositional,
  readArguments,
  runVerb,
  wrong,
  type Arguments,
} from './arguments.ts';
import { readMember } from './engine-member-file.ts';
import type { Io } from './io.ts';
import {
  encodeOperator,
  encodeProposal,
  propose as proposed,
  readChanges,
  readOperator,
  readProposal,
  type Changes,
  type Proposal,
} from './policy-proposal.ts';
import { policyChanges, policyRows } from './policy-text.ts';

const USAGE = `Usage: firmament policy propose --root FILE --out PROPOSAL [CHANGES]
       firmament policy approve PROPOSAL --operator NAME --key GOVERNANCE.key
       firmament policy submit PROPOSAL --operator NAME --key GOVERNANCE.key [--timeout SECONDS]
       firmament policy show FILE [--json]
       firmament policy operator PLAN.json DIRECTORY --genesis FILE

propose  writes the next policy. FILE is the root in force (GET /v1/root of a node that you believe). CHANGES:
           --orderer OPERATOR/NODE, --quorum N, --threshold N, --copies N, --copies-elsewhere N, --max-age S,
           --max-hold S, --skew S, --remove-operator NAME (several), --add-operator FILE (several; one of a name that
           is there replaces it), --changes FILE.json (fields as in the member list), --add-engine-member FILE and
           --remove-engine-member OPERATOR/NODE (several): the members of the consortium engine. The first of them
           move a network to it from the local engine; there is no way back
approve  shows what changes and adds an operator's approval to the file
submit   signs the change and hands it to the nodes, then waits until it is in force. When the orderer is gone, the
           node that the change appoints takes over
operator makes the keys and folders of an operator that joins (PLAN.json: one of the member list of "network init");
         DIRECTORY/NAME/operator.json is what --add-operator reads
show     prints a root, or a proposal with what it changes and who approved`;

export function policy(args: readonly string[], io: Io): Promise<number> {
  return runVerb('policy', USAGE, { propose, approve, submit, show, operator }, args, io);
}

const COUNTS = [
  ['quorum', 'quorum'],
  ['threshold', 'threshold'],
  ['copies', 'copies'],
  ['copies-elsewhere', 'copiesElsewhere'],
  ['max-age', 'maxAge'],
  ['max-hold', 'maxHold'],
  ['skew', 'skew'],
] as const;

async function propose(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, [
    'root',
    'out',
    'orderer',
    'changes',
    'add-operator*',
    'remove-operator*',
    'add-engine-member*',
    'remove-engine-member*',
    ...COUNTS.map(([option]) => option),
  ]);
  noPositionals(given);
  const proposal = proposed(readRoot(given.required('root')), changesOf(given));
  writeFileSync(given.required('out'), encodeProposal(proposal), { flag: 'wx' });
  printProposal(io, given, proposal);
}

function changesOf(given: Arguments): Changes {
  const file = given.text('changes');
  const read = file === undefined ? { numbers: {}, addMembers: [] } : readChanges(file);
  const orderer = given.text('orderer');
  const numbers = COUNTS.filter(([option]) => given.text(option) !== undefined).map(
    ([option, field]) => [field, given.count(option, 0)] as const,
  );
  return {
    ...read,
    numbers: { ...read.numbers, ...Object.fromEntries(numbers) },
    ...(orderer !== undefined && { orderer }),
    add: given.list('add-operator').map(readOperator),
    remove: given.list('remove-operator'),
    addMembers: [...read.addMembers, ...given.list('add-engine-member').map(readMember)],
    removeMembers: given.list('remove-engine-member'),
  };
}

async function approve(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['operator', 'key']);
  const file = onlyPositional(given, 'proposal');
  const proposal = readProposal(file);
  const approval = approvePolicy(given.required('operator'), keyOf(given), proposal.to);
  approvedBy(proposal.from.policy, proposal.to, approval);
  const others = proposal.approvals.filter(
    (other) =>
      counts(proposal, other) &&
      (other.operator !== approval.operator || hex(other.signature) !== hex(approval.signature)),
  );
  const approved = { ...proposal, approvals: [...others, approval] };
  replaceDurably(file, utf8(encodeProposal(approved)));
  printProposal(io, given, approved);
}

async function submit(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['operator', 'key', 'timeout']);
  const { from, to, approvals } = readProposal(onlyPositional(given, 'proposal'));
  const key = keyOf(given);
  const statement = policyStatement(given.required('operator'), key, to, approvals);
  // What the nodes would refuse is said here, in full.
  nextRoot(from, statement);
  const heard = await submitPolicy({
    from,
    to,
    statement,
    timeoutMs: given.count('timeout', 60) * 1000,
  });
  const entry = entryOf(statement);
  answer(
    io,
    given,
    [`policy ${to.policy.version} is in force (${heard.join(', ')})`, `statement ${entry}`],
    { version: to.policy.version, hash: hex(to.hash), entry, nodes: heard },
  );
}

function entryOf({ entry }: Statement): string {
  return hex(entry);
}

async function operator(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, ['genesis']);
  const [file, directory, ...rest] = given.positionals;
  if (file === undefined || directory === undefined || rest.length > 0)
    return wrong('PLAN.json and a folder are needed');
  const planned = parseOperatorPlan(readFileSync(file, 'utf8'));
  const genesis = parseGenesis(new Uint8Array(readFileSync(given.required('genesis'))));
  const made = await createOperator(planned, directory, genesis);
  const path = join(directory, made.operator.name, 'operator.json');
  writeFileSync(path, encodeOperator(made.operator), { flag: 'wx' });
  answer(
    io,
    given,
    [path, ...[...made.configs].map(([name, config]) => `${name}: firmament node start ${config}`)],
    { operator: path, nodes: Object.fromEntries(made.configs) },
  );
}

async function show(args: readonly string[], io: Io): Promise<void> {
  const given = readArguments(args, []);
  const file = onlyPositional(given, 'root or proposal');
  if (readFileSync(file).subarray(0, 1).toString() === '{') {
    printProposal(io, given, readProposal(file));
    return;
  }
  const root = readRoot(file);
  const rows = policyRows(root.policy);
  answer(
    io,
    given,
    [
      `network ${hex(root.networkId)}`,
      `hash ${hex(root.hash)}`,
      ...[...rows].map((row) => row.join(': ')),
    ],
    { network: hex(root.networkId), hash: hex(root.hash), policy: Object.fromEntries(rows) },
  );
}

function counts({ from, to }: Proposal, approval: PolicyApproval): boolean {
  try {
    approvedBy(from.policy, to, approval);
    return true;
  } catch (error) {
    if (codeOf(error) === 'POLICY_APPROVALS') return false;
    throw error;
  }
}

function printProposal(io: Io, given: Arguments, proposal: Proposal): void {
  const { from, to, approvals } = proposal;
  const changes = policyChanges(from, to);
  const by = approvals.map((each) =>
    counts(proposal, each) ? each.operator : `${each.operator} (with another key: does not count)`,
  );
  const needed = Math.max(from.policy.threshold, to.policy.threshold);
  answer(
    io,
    given,
    [
      `network ${hex(from.networkId)}`,
      ...changes,
      `approved by ${by.length === 0 ? 'nobody yet' : by.join(', ')}; ${from.policy.threshold} of the old and ${to.policy.threshold} of the new policy are needed`,
    ],
    { version: to.policy.version, hash: hex(to.hash), changes, approvals: by, needed },
  );
}

function readRoot(path: string): Root {
  const bytes = new Uint8Array(readFileSync(path));
  check(bytes.length <= 1 << 20, 'POLICY_MALFORMED', `${path} is too large`);
  return parseRoot(bytes);
}

function keyOf(given: Arguments): PrivateKey {
  const path = given.required('key');
  const bytes = new Uint8Array(readFileSync(path));
  try {
    return decodePrivateKey(bytes);
  } catch (cause) {
    // The cause may quote the file: it stays out of the message.
    return fail('NODE_CONFIG', `${path} is no governance key`, {}, cause);
  }
}
