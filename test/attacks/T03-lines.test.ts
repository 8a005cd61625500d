import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import { lineText } from '../../src/registry/line.ts';
import { SampleLedger } from './sample-ledger.ts';

suite('T03: lines belong to authors', () => {
  test('the same hardware ids make different lines', () => {
    const ledger = new SampleLedger();
    const [owner, squatter] = [ledger.author('owner'), ledger.author('squatter')];
    const first = ledger.publish(owner, 1n);
    ledger.publish(squatter, 99n);
    assert.deepEqual(ledger.line(owner.line)?.pending?.digest, first.digest);
  });

  test('an author says nothing on the line of another', () => {
    const ledger = new SampleLedger();
    const [owner, thief] = [ledger.author('owner'), ledger.author('thief')];
    const release = ledger.publish(owner, 1n);
    const before = ledger.line(owner.line);
    const onOwners = { ...thief, line: owner.line };
    const forged = ledger.release(onOwners, 2n);
    for (const attack of [
      () => ledger.apply(forged.statement, forged.attachment),
      () => ledger.apply(ledger.anchor(onOwners, release, 1n)),
      () => ledger.apply(ledger.withdraw(onOwners, release, 2n)),
      () => ledger.apply(ledger.declare(thief.key, owner.line, { issuer: hex(thief.id) })),
    ])
      assert.throws(attack, { code: 'LINE_FOREIGN' });
    assert.deepEqual(ledger.line(owner.line), before);
  });

  test('nobody else signs in the name of an author', () => {
    const ledger = new SampleLedger();
    const [owner, thief] = [ledger.author('owner'), ledger.author('thief')];
    const forged = ledger.release({ ...owner, key: thief.key }, 1n);
    assert.throws(() => ledger.apply(forged.statement, forged.attachment), {
      code: 'STATEMENT_SIGNER_UNKNOWN',
    });
  });

  test('a line is declared once, and only under its own name', () => {
    const ledger = new SampleLedger();
    const owner = ledger.author('owner');
    const issuer = hex(owner.id);
    const again = ledger.declare(owner.key, owner.line, { issuer });
    assert.throws(() => ledger.apply(again), { code: 'LINE_EXISTS' });
    const beta = { ...owner.line, track: 'beta' };
    const misnamed = ledger.declare(owner.key, beta, { issuer, subject: lineText(owner.line) });
    assert.throws(() => ledger.apply(misnamed), { code: 'STATEMENT_SUBJECT' });
  });
});
