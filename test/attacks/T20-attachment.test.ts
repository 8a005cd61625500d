import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
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
});
