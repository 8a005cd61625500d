import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { hex, utf8 } from '../../src/bytes.ts';
import type { Cbor } from '../../src/cbor/value.ts';
import * as label from '../../src/cose/claims.ts';
import { createSign1, encodeSign1 } from '../../src/cose/sign1.ts';
import { createStatement, parseStatement } from '../../src/registry/statement.ts';
import { SampleLedger } from './sample-ledger.ts';
import { sampleKey } from './sample-policy.ts';

suite('T04: one meaning per signature', () => {
  test('a test build, signed without a network, is not published', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const { statement, attachment } = ledger.release(author, 1n);
    const { network: _, ...claims } = statement;
    const testBuild = createStatement(author.key, claims, statement.payload);
    assert.throws(() => ledger.apply(testBuild, attachment), { code: 'STATEMENT_NETWORK' });
  });

  test('a release for one network is not a release on another', () => {
    const [here, there] = [new SampleLedger(4), new SampleLedger(5)];
    const author = here.author('author');
    there.author('author');
    const { statement, attachment } = there.release(author, 1n);
    assert.throws(() => here.apply(statement, attachment), { code: 'STATEMENT_NETWORK' });
  });

  test('claims that differ from the manifest are refused', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const foreign = ledger.release(author, 1n, { vendor: sha256(utf8('other')).subarray(0, 16) });
    assert.throws(() => ledger.apply(foreign.statement, foreign.attachment), {
      code: 'RELEASE_CLAIMS',
    });
    const renumbered = ledger.release(author, 2n, { manifestSequence: 1n });
    assert.throws(() => ledger.apply(renumbered.statement, renumbered.attachment), {
      code: 'RELEASE_CLAIMS',
    });
  });

  test('a key speaks only in its own role', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = ledger.publish(author, 1n);
    const byAuthor = ledger.hold('o1', author, release, author.key);
    assert.throws(() => ledger.apply(byAuthor), { code: 'STATEMENT_SIGNER_UNKNOWN' });
    const byOther = ledger.hold('o1', author, release, sampleKey('o2 statement'));
    assert.throws(() => ledger.apply(byOther), { code: 'STATEMENT_SIGNER_UNKNOWN' });
    const byCosigner = ledger.hold('o1', author, release, sampleKey('o1 cosigner'));
    assert.throws(() => ledger.apply(byCosigner), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  });

  test('a signature is not moved to other claims or another payload', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = ledger.publish(author, 1n);
    const real = ledger.withdraw(author, release, 0n);
    const other = ledger.withdraw(author, release, 2n);
    const forged = parseStatement(encodeSign1({ ...real.sign1, payload: other.payload }));
    assert.throws(() => ledger.apply(forged), { code: 'COSE_SIGNATURE_INVALID' });
    const { protectedBytes } = other.sign1;
    const moved = parseStatement(encodeSign1({ ...real.sign1, protectedBytes }));
    assert.throws(() => ledger.apply(moved), { code: 'COSE_SIGNATURE_INVALID' });
  });

  test('a statement is not replayed', () => {
    const ledger = new SampleLedger();
    const author = ledger.author('author');
    const release = ledger.publish(author, 1n);
    const hold = ledger.hold('o1', author, release);
    ledger.apply(hold);
    assert.throws(() => ledger.apply(hold), { code: 'STATEMENT_COUNTER' });
    const anchor = ledger.anchor(author, release, 1n);
    const withdrawal = ledger.withdraw(author, release, 0n);
    ledger.apply(withdrawal);
    assert.throws(() => ledger.apply(anchor), { code: 'STATEMENT_COUNTER' });
  });

  test('a header or claim of its own invention is refused, and none may be missing', () => {
    const author = sampleKey('author');
    const claims = new Map<Cbor, Cbor>([
      [label.ISS, 'a'],
      [label.SUB, 'b'],
      [label.AUD, hex(sha256(utf8('network')))],
      [label.COUNTER, 1],
    ]);
    const header = new Map<Cbor, Cbor>([
      [label.ALG, -19],
      [label.KID, sha256(utf8('kid'))],
      [label.CWT_CLAIMS, claims],
      [label.TYP, 'application/firmament.release.withdraw+cbor'],
    ]);
    const parse = (changed: ReadonlyMap<Cbor, Cbor>) =>
      parseStatement(createSign1({ header: changed, payload: utf8('x'), key: author }));
    parse(header);

    const refused = { code: 'STATEMENT_MALFORMED' };
    assert.throws(() => parse(new Map([...header, [99, 1]])), refused);
    const more = new Map([...claims, [99, 1]]);
    assert.throws(() => parse(new Map([...header, [label.CWT_CLAIMS, more]])), refused);
    // A release's claims on another kind.
    const version = new Map([...claims, [label.VERSION, '1']]);
    assert.throws(() => parse(new Map([...header, [label.CWT_CLAIMS, version]])), refused);
    for (const missing of [label.KID, label.CWT_CLAIMS, label.TYP])
      assert.throws(() => parse(new Map([...header].filter(([at]) => at !== missing))), refused);
    for (const missing of [label.ISS, label.SUB, label.COUNTER]) {
      const fewer = new Map([...claims].filter(([at]) => at !== missing));
      assert.throws(() => parse(new Map([...header, [label.CWT_CLAIMS, fewer]])), refused);
    }
    assert.throws(() => parse(new Map([...header, [label.TYP, 'application/cbor']])), {
      code: 'STATEMENT_KIND_UNKNOWN',
    });
  });
});
