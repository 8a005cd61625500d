/** Mutations of what a node checks of its engine: times of blocks, what members show and say (T11, T31). */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const CONSORTIUM = 'test/attacks/T11-consortium.test.ts';
const SKEW = 'test/attacks/T31-skew.test.ts';

export const NODE_ENGINE_MUTATIONS: readonly Mutation[] = [
  ...mutations('T11', 'src/node/consortium.ts', CONSORTIUM, [
    ['Math.min(clock(), proven.time)', 'proven.time'],
    [
      'const proven = commit && provenCommit(replica, commit);',
      'const proven = commit && { ...commit, time: clock() };',
    ],
  ]),
  ...mutations('T31', 'src/node/duty.ts', 'src/node/duty.test.ts', [
    ['replica.policyOf(epoch.policyVersion).policy.orderer', 'replica.ordering()'],
  ]),
  ...mutations('T12', 'src/node/engine.ts', 'src/node/engine.test.ts', [
    ['nextRoot(root, parseStatement(change));', ''],
    ['return missed.abort();', 'return;'],
  ]),
  ...mutations('T31', 'src/node/commits.ts', CONSORTIUM, [
    ['verifyCommit(certificate, validatorsOf(orderer), chain);', ''],
    ['return equal(appHashOf(certificate), appHashOfHead(head));', 'return true;'],
    ['verifyAs(replica, certificate, before);', ''],
  ]),
  ...mutations('T31', 'src/cli/verify-commit.ts', 'src/cli/verify-commit.test.ts', [
    ['verifyCommit(certificate, validatorsOf(orderer), chainIdOf(networkId, orderer.chain));', ''],
    ["check(equal(appHashOf(certificate), appHash(commit.head)), 'LEDGER_CERTIFICATE');", ''],
    ['equal(commit.head.root, checkpoint.root)', 'true'],
  ]),
  ...mutations('T15', 'src/node/state-sync.ts', 'test/attacks/T15-state-sync.test.ts', [
    ['verifyCommit(certificate, validatorsOf(orderer), chainIdOf(networkId, orderer.chain));', ''],
    ['root = advanceRoot(root, changes);', 'break;'],
    ['answered.length < SOURCES', 'false'],
    ['if (timeOf(newest.certificate) < clock() - TRUST_PERIOD) return undefined;', ''],
  ]),
  ...mutations('T15', 'src/node/engine-proxy.ts', 'test/attacks/T15-state-sync.test.ts', [
    ['length > MAX_ENGINE_CALL', 'false'],
  ]),
  ...mutations('T31', 'src/node/member-calls.ts', CONSORTIUM, [
    ['refusals.size > faulty(operators)', 'refusals.size > 0'],
    ['if (from === asked) turn++;', ''],
    ['first = start + i + 1;', ''],
  ]),
  ...mutations('T31', 'src/node/block-times.ts', SKEW, [
    ['block.time > latest &&', 'false &&'],
    ['block.size > acknowledged()', 'true'],
    ["check(end !== 0, 'LEDGER_TIME_AHEAD');", ''],
    ['head.time >= quiet.at - this.#parts.skew()', 'true'],
    ['head.height <= quiet.height', 'false'],
    ['this.#quiet = undefined;', ''],
  ]),
  ...mutations('T31', 'src/node/block-sources.ts', SKEW, [
    [
      'const blocks = usable(await peers.blocks(orderer, from, heard ? waitMs : 0, signal));',
      'const blocks = await peers.blocks(orderer, from, heard ? waitMs : 0, signal);',
    ],
  ]),
  ...mutations('T31', 'src/node/cosigning.ts', SKEW, [
    ['if (head && parts.isBackdated(head)) {', 'if (false) {'],
  ]),
];
