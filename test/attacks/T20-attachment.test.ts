import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fixtureLine, fixtureNetwork } from '../../src/testing/fixture.ts';
import {
  declaration,
  openedReplica,
  ordered,
  registeredAuthor,
  resigned,
  transactionOf,
} from '../../src/testing/ledger-fixture.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import { SampleLedger } from './sample-ledger.ts';

suite('T20: a release travels with its manifest', () => {
  test('without it, nothing is ordered', () => {
    const ledger = new SampleLedger();
    const { statement } = ledger.release(ledger.author('author'), 1n);
    assert.throws(() => ledger.apply(statement), { code: 'ATTACHMENT_MISSING' });
  });

  test('another manifest in its place is refused', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const [first, second] = [ledger.release(author, 1n), ledger.release(author, 2n)];
    assert.throws(() => ledger.apply(first.statement, second.attachment), {
      code: 'ATTACHMENT_MISMATCH',
    });
  });

  test('nothing else carries an attachment', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = ledger.publish(author, 1n);
    const withdrawal = ledger.withdraw(author, release, 0n);
    assert.throws(() => ledger.apply(withdrawal, release.attachment), {
      code: 'ATTACHMENT_MISSING',
    });
  });

  test('a signed block with a release and no manifest, or another, is a lie of the orderer', () => {
    const network = fixtureNetwork({ operators: 1 });
    const { author, group } = registeredAuthor(network, 'acme');
    const line = fixtureLine(author.author, 'model 0');
    const [first, second] = [1n, 2n].map((sequence) => fixtureRelease(author, line, sequence));
    assert.ok(first && second);
    for (const attachment of [null, second.attachment]) {
      const orderer = openedReplica(network).replica;
      const follower = openedReplica(network).replica;
      ordered(orderer, network, [...group, declaration(author, 0)]);
      ordered(orderer, network, [transactionOf(first.statement, first.attachment)]);
      follower.append(orderer.block(1));
      const lie = resigned(network, orderer.block(2), () => ({
        transactions: [{ statement: first.statement.bytes, attachment }],
      }));
      assert.throws(() => follower.append(lie), { code: 'LEDGER_ORDERER_LIES' });
      assert.match(follower.evidence()[0]?.reason ?? '', /manifest/);
    }
  });

  test('every node keeps the manifest and has it for whoever asks', () => {
    const network = fixtureNetwork({ operators: 1 });
    const { author, group } = registeredAuthor(network, 'acme');
    const release = fixtureRelease(author, fixtureLine(author.author, 'model 0'), 1n);
    const orderer = openedReplica(network).replica;
    const follower = openedReplica(network).replica;
    ordered(orderer, network, [...group, declaration(author, 0)]);
    ordered(orderer, network, [transactionOf(release.statement, release.attachment)]);
    for (const height of [1, 2]) follower.append(orderer.block(height));
    assert.deepEqual(follower.attachment(release.digest), release.attachment);
  });
});
