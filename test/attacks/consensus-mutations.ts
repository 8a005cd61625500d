/** Mutations of what holds under the consortium engine: its policy, its blocks, their certificates, snapshots. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const ORDERER = 'src/registry/orderer.ts';
const ORDERER_TEST = 'src/registry/orderer.test.ts';
const LEDGER = 'src/ledger/consensus.test.ts';
const ATTACKS = 'test/attacks/T31-consensus.test.ts';
const PROVEN = 'src/ledger/proven-ledger.ts';
const DECIDING = 'src/ledger/deciding-ledger.ts';
const REPLICA = 'src/ledger/replica.ts';
const DECISION = 'src/ledger/decision.ts';
const BLOCKS = 'src/ledger/snapshot-blocks.ts';
const IMPORT = 'src/ledger/snapshot-import.ts';
const ROWS = 'src/ledger/snapshot-rows.ts';
const SNAPSHOT = 'test/attacks/T15-snapshot.test.ts';

export const CONSENSUS_MUTATIONS: readonly Mutation[] = [
  ...mutations('T31', ORDERER, ORDERER_TEST, [
    ['checkPublicKey(key);', ''],
    [
      "check(chain >= 1 && chain <= policy.version, 'POLICY_MALFORMED',",
      "check(true, 'POLICY_MALFORMED',",
    ],
    ["check(policy.nodes.includes(name), 'POLICY_MALFORMED', `no listed node: ${name}`);", ''],
    ["check(sorted, 'POLICY_MALFORMED',", "check(true, 'POLICY_MALFORMED',"],
    ['for (const { address } of members) checkAddress(address);', ''],
    ['new Set(values).size === values.length', 'true'],
    ['new Set(operators).size === operators.length', 'true'],
    ['operators.length >= (trial ? 1 : 4)', 'operators.length >= 1'],
    ["check(before.engine === 'local', 'POLICY_ENGINE',", "check(true, 'POLICY_ENGINE',"],
    ['next.chain === version', 'true'],
    ['next.chain === before.chain', 'true'],
    ['3 * staying >= 2 * old.length', 'true'],
    ['members.length <= MAX_MEMBERS', 'true'],
  ]),
  ...mutations('T31', 'src/registry/policy.ts', ORDERER_TEST, [
    [
      "(policy.orderer.engine === 'cometbft' ? policy.orderer.members : [])",
      '([] as readonly { key: PublicKey }[])',
    ],
  ]),
  ...mutations('T31', 'src/registry/policy-change.ts', ORDERER_TEST, [
    ['checkSuccession(root.policy.orderer, next.policy.orderer, version);', ''],
  ]),
  ...mutations('T31', PROVEN, LEDGER, [
    ["check(height === next, 'LEDGER_OUT_OF_ORDER',", "check(true, 'LEDGER_OUT_OF_ORDER',"],
    [
      "check(certificate !== undefined, 'LEDGER_HEIGHT_UNKNOWN',",
      "check(true, 'LEDGER_HEIGHT_UNKNOWN',",
    ],
    ['const end = this.certified().height;', 'const end = this.newest.height;'],
    ['this.policyOf(this.headAt(height - 1).epoch.policyVersion)', 'policyInForce(this.committed)'],
  ]),
  ...mutations('T31', PROVEN, ATTACKS, [
    [
      'verifyCommit(decoded, validatorsOf(orderer), chainIdOf(this.genesis.networkId, orderer.chain));',
      '',
    ],
    ['equal(signed, appHashOfHead(head))', 'true'],
    ['checkAppHash(this.signedAppHash(before, certificate), head);', ''],
  ]),
  ...mutations('T31', REPLICA, ATTACKS, [
    ["check(before.policy.orderer.engine === 'cometbft', 'BLOCK_SIGNER', 'one node orders');", ''],
    ['checkAppHash(signed, head);', ''],
    ["check(known, 'BLOCK_SIGNER', OTHER_HISTORY);", ''],
    [
      "if (!orderer) return this.#openOther(bytes, new FirmamentError('BLOCK_SIGNER'));",
      'if (!orderer) return unverifiedBlock(bytes);',
    ],
  ]),
  ...mutations('T31', 'src/ledger/rival-history.ts', ATTACKS, [
    [
      'equal(sha256(hashedBytes(block)), replica.headAt(height).hash)',
      'equal(sha256(block), replica.headAt(height).hash)',
    ],
  ]),
  ...mutations('T31', 'src/ledger/replica-source.ts', 'src/ledger/consensus.test.ts', [
    ['from > replica.certified().height', 'from > replica.head().height'],
  ]),
  ...mutations('T31', DECIDING, LEDGER, [
    [
      'this.abandonDecided();\n    this.checkRunning();\n    const { chain }',
      'this.checkRunning();\n    const { chain }',
    ],
    ['chain === open.chain && height === next', 'true'],
    ['chain === open.chain && height === next', 'height === next'],
    ['this.context(Math.max(time, upon.time))', 'this.context(time)'],
    [
      'runGroups(this.committed, groups, context, ROOM)',
      'runGroups(this.committed, groups, context)',
    ],
  ]),
  ...mutations('T31', DECISION, LEDGER, [
    ['next.time === Math.max(before.time, time)', 'true'],
    ["check(at === before.size || at === end, 'LEDGER_REPLAY',", "check(true, 'LEDGER_REPLAY',"],
  ]),
  ...mutations('T15', BLOCKS, SNAPSHOT, [
    ["check(block.height === before.height + 1, 'SNAPSHOT_MISMATCH', 'blocks out of order');", ''],
    ["check(equal(block.previous, before.hash), 'SNAPSHOT_MISMATCH', 'a block upon another');", ''],
    ['block.size === size && equal(block.root, root)', 'true'],
    [
      'const handed = openHandOver(bytes, unverifiedBlock(bytes), this.#root, origin);',
      'const handed = unverifiedBlock(bytes);',
    ],
    ["check(head.size === this.#size, 'SNAPSHOT_MISMATCH', 'a certificate is missing');", ''],
    ['if (attachment !== null) attachedDigest(statement, attachment);', ''],
    ["(attachment !== null) === (statement.kind === 'release')", 'true'],
    ["check(epoch.time === block.time, 'SNAPSHOT_MISMATCH', 'the epoch of another time');", ''],
    [
      "check(equal(block.networkId, this.#root.networkId), 'SNAPSHOT_MISMATCH', 'of another network');",
      '',
    ],
    ["check(fresh, 'SNAPSHOT_MISMATCH', 'a statement twice');", ''],
    ["check(same, 'SNAPSHOT_MISMATCH',", "check(true, 'SNAPSHOT_MISMATCH',"],
    [
      'verifyCommit(decoded, validatorsOf(orderer), chainIdOf(before.networkId, orderer.chain));',
      '',
    ],
    [
      "else check(certificate === null, 'SNAPSHOT_MISMATCH', 'a certificate of a signed block');",
      '',
    ],
  ]),
  ...mutations('T15', IMPORT, SNAPSHOT, [
    ["check(equal(title.networkId, genesis.networkId), 'SNAPSHOT_FOREIGN');", ''],
    [
      "check(equal(appHash(title), certified), 'SNAPSHOT_MISMATCH', 'another head than certified');",
      '',
    ],
    ["check(bounded, 'SNAPSHOT_MALFORMED',", "check(true, 'SNAPSHOT_MALFORMED',"],
    ["check(same, 'SNAPSHOT_MISMATCH', 'the log is not the certified one');", ''],
    ["check(same, 'SNAPSHOT_MISMATCH', 'another state or map than certified');", ''],
    ["typeof last !== 'string' || last < name", 'true'],
    ["check(ordered, 'SNAPSHOT_MALFORMED',", "check(true, 'SNAPSHOT_MALFORMED',"],
    ["check(this.#mapValues < title.mapValues, 'SNAPSHOT_MALFORMED', 'rows after the last');", ''],
    ['if (!complete) this.discard();', ''],
    ["check(complete, 'SNAPSHOT_INCOMPLETE');", ''],
    ['      this.discard();\n      throw error;', '      throw error;'],
  ]),
  ...mutations('T15', ROWS, SNAPSHOT, [
    [
      "check(chunk.length > 0 && chunk.length <= CHUNK, 'SNAPSHOT_MALFORMED',",
      "check(true, 'SNAPSHOT_MALFORMED',",
    ],
    ['length > 0 && length <= MAX_ROW', 'true'],
    ["check(row[0] === TAG, 'SNAPSHOT_MALFORMED', 'not a snapshot');", ''],
    ['RECORD_NAME.test(text)', 'true'],
    ['{ max: MAX_MAP_VALUE }', '{ max: 1 << 30 }'],
  ]),
  ...mutations('T15', 'src/ledger/adopt-rows.ts', 'src/ledger/snapshot.test.ts', [
    ["check(continues, 'SNAPSHOT_FORK');", ''],
    ["Number(newest['height']) > Number(own['height']) &&", ''],
  ]),
  ...mutations('T31', 'src/ledger/decision.ts', 'test/attacks/T31-repeat.test.ts', [
    [
      '(seen.index === index && isSame(ledger.statement(index), transaction))',
      'seen.index === index',
    ],
    ['!equal(stored.entry, statement.entry)', 'false'],
    ['equal(stored.attachment, attachment)', 'true'],
  ]),
];
