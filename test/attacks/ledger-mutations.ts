/** Mutations of the rules that the ledger's replica and the cosigner's record enforce. */
import { mutations } from './mutation-list.ts';
import type { Mutation } from './mutations.ts';

const REPLICA = 'src/ledger/replica.ts';
const RUN = 'src/ledger/block-run.ts';
const CLOSE = 'src/ledger/close-block.ts';
const RECORD = 'src/ledger/cosigner-record.ts';
const STARTUP = 'src/ledger/cosigner-startup.ts';

export const LEDGER_MUTATIONS: readonly Mutation[] = [
  ...mutations('T05', RUN, 'src/ledger/replica.test.ts', [
    ['if (known !== undefined) return { index: known, known: true };', ''],
  ]),
  ...mutations('T05', RUN, 'test/attacks/T12-orderer.test.ts', [
    ['!inBlock.has(hex(digest)) &&', ''],
    ['&& context.seenAt(digest) === undefined', ''],
  ]),
  ...mutations('T10', RECORD, 'test/attacks/T10-cosigner.test.ts', [
    ["check(this.#allowed, 'COSIGNER_UNCONFIRMED');", ''],
    ["check(replica.halted() === undefined, 'LEDGER_HALTED');", ''],
    ['check(size >= this.#last.size,', 'check(true,'],
    ['size > this.#last.size || equal(root, this.#last.root)', 'true'],
    ['derived !== undefined && equal(derived.root, root)', 'true'],
    ['derived !== undefined && equal(derived.root, root)', 'derived !== undefined'],
    ['this.#write(last);', ''],
    ["check(mine, 'COSIGNER_RECORD_FOREIGN');", ''],
  ]),
  ...mutations('T10', STARTUP, 'test/attacks/T10-cosigner.test.ts', [
    ['if (!ownSignature(question, newest)) continue;', ''],
    ['check(size <= record.size,', 'check(true,'],
    ['size < record.size || equal(root, record.root)', 'true'],
    ['question.override || heard.size >= needed', 'true'],
    ['operators - faulty(operators)', 'operators - faulty(operators) - 1'],
  ]),
  ...mutations('T12', REPLICA, 'test/attacks/T12-orderer.test.ts', [
    ['if (this.#halt)\n', 'if (this.#halt && false)\n'],
    ['equal(block.networkId, this.genesis.networkId)', 'true'],
    ["check(equal(block.previous, this.newest.hash), 'BLOCK_MALFORMED', OTHER_HISTORY);", ''],
    ['check(block.time >= this.newest.time,', 'check(true,'],
    ['check(block.size === size,', 'check(true,'],
    ['check(equal(block.root, root),', 'check(true,'],
    ['block.height > 0 && equal(this.headAt(block.height).hash, sha256(bytes))', 'true'],
    ['this.#halt = halt;', ''],
    ['this.#halt = this.evidence().at(-1);', ''],
    [
      "if (codeOf(error) === 'BLOCK_MALFORMED' && signedAsBlock(bytes, node.statement))",
      'if (false)',
    ],
    [
      "if (codeOf(error) === 'BLOCK_MALFORMED' && signedAsBlock(bytes, node.statement))",
      'if (true)',
    ],
  ]),
  ...mutations('T12', 'src/ledger/follow.ts', 'src/ledger/local.test.ts', [
    ['await takeOver(replica, source, signal);', ''],
    ['operators.size >= needed', 'true'],
    ['operators.size >= needed', 'answered.size >= needed'],
  ]),
  ...mutations('T15', CLOSE, 'test/attacks/T15-epochs.test.ts', [
    ['    mapRoot: mapped,', '    mapRoot: stateRoot,'],
    ['    stateRoot,\n', '    stateRoot: mapped,\n'],
    ['previous: before && before.size - 1', 'previous: null'],
  ]),
  ...mutations('T15', REPLICA, 'test/attacks/T15-epochs.test.ts', [
    ['Math.max(time, this.newest.time)', 'time'],
  ]),
];
