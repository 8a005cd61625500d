import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { SampleLedger, type SampleAuthor, type SampleRelease } from './sample-ledger.ts';

/** Enough holders: R = 2 operators, of which N = 1 is not the author's. */
function hold(ledger: SampleLedger, author: SampleAuthor, release: SampleRelease): void {
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
}

suite('T16: newest, pending, lowest', () => {
  test('a release is offered as newest only once it is held widely enough', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = ledger.publish(author, 1n);
    assert.equal(ledger.line(author.line)?.newest, null);
    assert.deepEqual(ledger.line(author.line)?.pending?.digest, release.digest);
    ledger.apply(ledger.hold('o1', author, release));
    ledger.apply(ledger.hold('o1', author, release));
    assert.equal(ledger.line(author.line)?.newest, null, 'one operator holding twice is one');
    ledger.apply(ledger.hold('o2', author, release));
    assert.deepEqual(ledger.line(author.line)?.newest?.digest, release.digest);
    assert.equal(ledger.line(author.line)?.pending, null);
  });

  test("holds of the author's own operator are not others'", () => {
    const ledger = new SampleLedger(4, { copies: 1, copiesElsewhere: 1 });
    const author = ledger.author('author', 'o0');
    const release = ledger.publish(author, 1n);
    ledger.apply(ledger.hold('o0', author, release));
    assert.equal(ledger.line(author.line)?.newest, null);
    ledger.apply(ledger.hold('o1', author, release));
    assert.deepEqual(ledger.line(author.line)?.newest?.digest, release.digest);
  });

  test('a release that nobody holds does not hide the available one', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const first = ledger.publish(author, 1n);
    hold(ledger, author, first);
    const second = ledger.publish(author, 2n);
    assert.deepEqual(ledger.line(author.line)?.newest?.digest, first.digest);
    assert.deepEqual(ledger.line(author.line)?.pending?.digest, second.digest);
  });

  test('a withdrawn release is no longer newest, and nothing below lowest takes its place', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const releases = [1n, 2n, 3n].map((sequence) => {
      const release = ledger.publish(author, sequence);
      hold(ledger, author, release);
      return release;
    });
    const [first, second, third] = releases as [SampleRelease, SampleRelease, SampleRelease];
    ledger.apply(ledger.withdraw(author, third, 0n));
    assert.deepEqual(ledger.line(author.line)?.newest?.digest, second.digest);
    ledger.apply(ledger.hold('o3', author, third));
    assert.deepEqual(
      ledger.line(author.line)?.newest?.digest,
      second.digest,
      'held, and still out',
    );
    ledger.apply(ledger.withdraw(author, second, 2n));
    assert.equal(ledger.line(author.line)?.newest, null, 'the first is below lowest');
    assert.equal(ledger.line(author.line)?.lowest, 2n);
    assert.throws(() => ledger.apply(ledger.withdraw(author, first, 1n)), {
      code: 'RELEASE_LOWEST',
    });
  });

  test('sequence numbers only grow, and nobody burns them', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    ledger.publish(author, 5n);
    for (const sequence of [4n, 5n + (1n << 32n) + 1n]) {
      const { statement, attachment } = ledger.release(author, sequence);
      assert.throws(() => ledger.apply(statement, attachment), { code: 'RELEASE_SEQUENCE' });
    }
    ledger.publish(author, 5n + (1n << 32n));
  });
});
