/** Mutations of the rules about policies, their order, and what becomes of an orderer. */
import type { Mutation } from './mutations.ts';

const T08 = 'test/attacks/T08-root.test.ts';
const T08_DEVICE = 'test/attacks/T08-device.test.ts';
const T11 = 'test/attacks/T11-frozen.test.ts';
const T12 = 'test/attacks/T12-handover.test.ts';
const AUTHOR = 'src/author/policies.test.ts';
const CLI = 'src/cli/policy.test.ts';
const REPLICA = 'src/ledger/replica.ts';

function mutations(
  rule: string,
  file: string,
  test: string,
  edits: readonly (readonly [find: string, replace: string])[],
  pattern?: string,
): readonly Mutation[] {
  const only = pattern === undefined ? {} : { pattern };
  return edits.map(([find, replace]) => ({ rule, file, find, replace, tests: [test], ...only }));
}

export const POLICY_MUTATIONS: readonly Mutation[] = [
  ...mutations('T08', 'src/author/author.ts', AUTHOR, [
    ['root.policy.version > pinned.policy.version', 'true'],
    ['root.policy.version < pinned.policy.version || equal(pinned.bytes, root.bytes)', 'true'],
    [
      "check(equal(pinned.networkId, root.networkId), 'AUTHOR_NETWORK', 'another network is pinned');\n  if",
      'if',
    ],
  ]),
  ...mutations('T08', 'src/author/policies.ts', AUTHOR, [['heard.size >= enough', 'true']]),
  ...mutations('T08', 'src/registry/policy-change.ts', T08, [
    [
      "utf8('firmament/policy/v1'), root.networkId, root.hash",
      "utf8('firmament/policy/v1'), root.hash",
    ],
    ["utf8('firmament/policy/v1'), root.networkId, root.hash", 'root.networkId, root.hash'],
    ["check(statement.network === network, 'STATEMENT_NETWORK');", ''],
    ["check(statement.subject === network, 'STATEMENT_SUBJECT');", ''],
    [
      'authenticate(statement, decodeKey(signingOperator(root.policy, statement).governance));',
      'signingOperator(root.policy, statement);',
    ],
    ['equal(next.networkId, root.networkId)', 'true'],
    ['version === root.policy.version + 1', 'version >= root.policy.version + 1'],
    ['version === root.policy.version + 1', 'version <= root.policy.version + 1'],
    ["check(statement.counter === BigInt(version), 'STATEMENT_COUNTER');", ''],
    ['checkApprovals(root.policy, next, approvals);', ''],
    ['    byOld || byNext,', '    true,'],
    ['before.size >= policy.threshold', 'true'],
    ['after.size >= next.policy.threshold', 'true'],
    [
      'const before = new Set<string>();',
      'const before = { size: 0, add: (_: string) => before.size++ };',
    ],
  ]),
  ...mutations('T08', 'src/cli/policy.ts', CLI, [
    ['approvedBy(proposal.from.policy, proposal.to, approval);', ''],
  ]),
  ...mutations('T09', 'src/registry/policy-change.ts', T08, [
    ["next.policy.mode !== 'trial' || root.policy.mode === 'trial'", 'true'],
  ]),
  ...mutations('T09', 'src/registry/policy.ts', T08, [
    ['  checkPolicy(policy);\n  return policy;', '  return policy;'],
  ]),
  ...mutations('T08', 'src/registry/rules/policy-change.ts', T08, [
    ['setPolicy(view, next.bytes);', ''],
  ]),
  ...mutations('T08', 'src/trust/freshness.ts', T08_DEVICE, [
    ['if (proven.policyAhead)', 'if (false)'],
  ]),
  ...mutations('T08', 'src/reader/follow-policies.ts', T08_DEVICE, [
    [
      'await pinned.advance(advanceRoot(pinned.root, changes.slice(0, named - version)));',
      'return;',
    ],
  ]),
  ...mutations('T08', 'src/device/root-record.ts', T08_DEVICE, [
    ['forward && equal(next.networkId, root.networkId)', 'equal(next.networkId, root.networkId)'],
    ['forward && equal(next.networkId, root.networkId)', 'forward'],
    ['await writeRoot(files, directory, next);', ''],
    ['equal(kept.networkId, provisioned.networkId)', 'true'],
    ['version !== provisioned.policy.version || equal(kept.hash, provisioned.hash)', 'true'],
    ['version > provisioned.policy.version ? kept : provisioned', 'kept'],
    ['equal(sha256(root), bytes.subarray(0, 32))', 'true'],
    ['await files.sync(fresh);', ''],
    ['await files.syncFolder(directory);', ''],
  ]),
  ...mutations(
    'T11',
    'src/node/freeze.ts',
    T11,
    [
      ['waitingSince !== undefined && now - waitingSince > maxHold', 'false'],
      ['now - heardAt > maxHold', 'false'],
    ],
    'when a node stops',
  ),
  ...mutations(
    'T11',
    'src/node/urgent-statements.ts',
    T11,
    [
      ['    if (refused) throw refused;', ''],
      ['this.#countOf(signer) < URGENT_A_SIGNER', 'true'],
      ['replica.onHead(() => this.#sweep());', ''],
      ["return Number(row?.['seen'] ?? now);", 'return now + Number(row === undefined);'],
    ],
    'what waits',
  ),
  ...mutations(
    'T11',
    'src/ledger/waiting-groups.ts',
    T11,
    [
      [
        'const lane = this.#urgent.first() ? this.#urgent : this.#other;',
        'const lane = this.#other.first() ? this.#other : this.#urgent;',
      ],
      ['(first ? this.#urgent : this.#other)', '(first ? this.#other : this.#other)'],
    ],
    'before all else',
  ),
  ...mutations(
    'T11',
    'src/ledger/urgent-shares.ts',
    T11,
    [['times.filter((time) => time > since).length < URGENT_A_SIGNER', 'true']],
    'before all else',
  ),
  ...mutations(
    'T11',
    'src/node/cosigning.ts',
    T11,
    [['if (freeze || !isListed(parts))', 'if (!isListed(parts))']],
    'an orderer that withholds',
  ),
  ...mutations('T12', 'src/ledger/hand-over.ts', T12, [
    ['openBlock(bytes, appointed.node.statement, appointed.name, origin)', 'block'],
  ]),
  ...mutations('T12', REPLICA, T12, [
    ['if (isKey(inForce)) return', 'if (true) return'],
    ["check(this.#isOrderers(block.height), 'BLOCK_SIGNER', OTHER_HISTORY);", ''],
    ["check(!this.#isOthersEnd(block), 'LEDGER_OUT_OF_ORDER', OTHER_HISTORY);", ''],
    ['next !== undefined && isKey(next)', 'next !== undefined'],
    ['!appointed || run.transactions[0] === groups[0]?.[0]', 'true'],
    [
      'block.height !== this.newest.height + 1 || !equal(block.previous, this.newest.hash)',
      'false',
    ],
    ['differs && equal(block.previous, before.hash)', 'equal(block.previous, before.hash)'],
    ['acknowledged <= before.size', 'true'],
    ["check(opened !== undefined, 'BLOCK_SIGNER');", ''],
    ['this.policyOf(before.epoch.policyVersion)', 'policyInForce(this.committed)'],
  ]),
  ...mutations('T12', 'src/ledger/rival-history.ts', T12, [
    [
      'if (isLater) nextRoot(root, parseStatement(change));',
      'if (isLater) isOrdered(replica, change);',
    ],
    ['if (first && from <= replica.head().height) replica.supersede(first, acknowledged());', ''],
  ]),
  ...mutations('T12', 'src/node/appointment.ts', T12, [
    ['appointed !== undefined && equal(appointed.node.spki, spki)', 'appointed !== undefined'],
    [
      "check(appointed !== undefined && equal(appointed.node.spki, spki), 'NODE_TAKEOVER_INVALID');",
      '',
    ],
    [
      ".prepare('INSERT OR REPLACE INTO appointment VALUES (0, ?)').run(bytes)",
      ".prepare('SELECT ?').get(bytes)",
    ],
    ['for (const wake of this.#listeners) wake();', ''],
  ]),
  ...mutations('T12', 'src/node/duty.ts', T12, [
    ["if (appointed) return { kind: 'follow', orderer: appointed, promised: true };", ''],
  ]),
];
