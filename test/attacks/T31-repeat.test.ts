// T31: a proposer puts a forged copy before the real statement, so that a member whose engine repeats its blocks differs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStatement, type Transaction } from '../../src/registry/statement.ts';
import { fixtureLine, fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  decided,
  openedReplica,
  refusalOf,
  registeredAuthor,
} from '../../src/testing/ledger-fixture.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';

const network = fixtureNetwork({ engine: 'cometbft' });
const { author, group } = registeredAuthor(network, 'acme');
const declared = declaration(author, 0);
const { statement, attachment } = fixtureRelease(author, fixtureLine(author.author, 'model 0'), 1n);
const release: Transaction = { statement, attachment };

function flipped(bytes: Uint8Array): Uint8Array {
  const last = bytes.length - 1;
  return bytes.with(last, (bytes[last] ?? 0) ^ 1);
}

/** Whether each group of the second block was taken: when it was decided, and when it was repeated. */
function takenTwice(groups: readonly (readonly Transaction[])[]): readonly (readonly boolean[])[] {
  const { replica } = openedReplica(network);
  decided(replica, [[...group, declared]]);
  const play = (): readonly boolean[] => {
    const taken = replica
      .decide(groups, replica.head().time)
      .outcomes.map((outcome) => refusalOf(outcome) === undefined);
    replica.commitDecided({ chain: 1, height: 2 });
    return taken;
  };
  const first = play();
  replica.forgetEngine();
  decided(replica, [[...group, declared]]);
  return [first, play()];
}

test('a copy with a forged signature stays refused when the block is repeated', () => {
  const forged = { statement: parseStatement(flipped(statement.bytes)), attachment };
  assert.deepEqual(takenTwice([[forged], [release]]), [
    [false, true],
    [false, true],
  ]);
});

test('a copy with another attachment stays refused when the block is repeated', () => {
  const forged = { statement, attachment: flipped(attachment) };
  assert.deepEqual(takenTwice([[forged], [release]]), [
    [false, true],
    [false, true],
  ]);
});
