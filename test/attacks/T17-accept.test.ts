import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sha256 } from '#crypto';
import { utf8 } from '../../src/bytes.ts';
import { acceptProof, acceptRelease, chooseRelease } from '../../src/trust/accept.ts';
import type { UpdateProof } from '../../src/trust/proof.ts';
import type { Confirmed, TrustState } from '../../src/trust/state.ts';
import {
  CLASS,
  SampleLedger,
  VENDOR,
  type SampleAuthor,
  type SampleRelease,
} from './sample-ledger.ts';
import { samplePolicy } from './sample-policy.ts';
import {
  envelopeOf,
  NEW_READER,
  NOW,
  proveLine,
  provisionFor,
  type ProofOptions,
} from './sample-proof.ts';

interface Scene {
  readonly ledger: SampleLedger;
  readonly author: SampleAuthor;
  /** Sequences 1 and 2, both available. */
  readonly old: SampleRelease;
  readonly newest: SampleRelease;
}

function scene(): Scene {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const [old, newest] = [available(ledger, author, 1n), available(ledger, author, 2n)];
  return { ledger, author, old, newest };
}

function available(ledger: SampleLedger, author: SampleAuthor, sequence: bigint): SampleRelease {
  const release = ledger.publish(author, sequence);
  for (const operator of ['o1', 'o2']) ledger.apply(ledger.hold(operator, author, release));
  return release;
}

function read(
  { ledger, author }: Scene,
  options: ProofOptions = {},
  state: TrustState = NEW_READER,
) {
  const proof = proveLine(ledger, author.line, options);
  return acceptProof(provisionFor(ledger, author), state, 0, proof, NOW);
}

function refuses(code: string, options: ProofOptions, state?: TrustState): void {
  assert.throws(() => read(scene(), options, state), { code });
}

function confirmed(sequence: bigint, release: SampleRelease): Confirmed {
  return { sequence, digest: release.digest };
}

suite('T17: a proof', () => {
  test('of honest operators is accepted, and says how fresh by which clock', () => {
    const { judged, state } = read(scene());
    assert.deepEqual(judged.freshness, { kind: 'fresh', clock: 'own clock' });
    assert.equal(judged.proven.value.newest?.sequence, 2n);
    assert.equal(state.head?.size, 9);
  });

  test('T09: of fewer operators than the quorum is refused, one counted twice too', () => {
    refuses('TRUST_QUORUM', { signers: ['o1', 'o2'] });
    refuses('TRUST_QUORUM', { signers: ['o1', 'o2', 'o2'] });
    refuses('TRUST_QUORUM', { signers: [] });
  });

  test('T09: several nodes of one operator are one voice', () => {
    const twins = samplePolicy(4).operators.map((operator, index) => ({
      ...operator,
      nodes: index === 1 ? [...operator.nodes, ...renamed()] : operator.nodes,
    }));
    // The second node of o1 has the keys that o9 would have.
    function renamed() {
      return samplePolicy(10).operators[9]!.nodes.map((node) => ({ ...node, name: 'o' }));
    }
    const ledger = new SampleLedger(4, { operators: twins });
    const author = ledger.author('author');
    available(ledger, author, 1n);
    const voices = ['o1/n', 'o1/o', 'o2/n'] as const;
    const proof = (signers: readonly string[]) => proveLine(ledger, author.line, { signers });
    const provision = provisionFor(ledger, author);
    assert.throws(() => acceptProof(provision, NEW_READER, 0, proof(voices), NOW), {
      code: 'TRUST_QUORUM',
    });
    acceptProof(provision, NEW_READER, 0, proof([...voices, 'o3/n']), NOW);
  });

  test('T09: with a cosignature that does not verify is refused', () => {
    refuses('LOG_COSIGNATURE_INVALID', {
      tamper: (proof) => ({
        ...proof,
        cosignatures: proof.cosignatures.map((each) => ({ ...each, time: each.time + 1 })),
      }),
    });
  });

  test('T15: under an epoch that is not the last leaf is refused', () => {
    refuses('TRUST_EPOCH_NOT_LAST', { size: 9, epochAt: 7 });
    refuses('LOG_COSIGNATURE_INVALID', { size: 8, epochAt: 6 });
  });

  test('T15: with any exchanged part of the epoch is refused', () => {
    const changes: readonly Partial<UpdateProof['epoch']>[] = [
      { height: 5 },
      { time: NOW },
      { stateRoot: sha256(utf8('smuggled')) },
      { policyVersion: 2 },
      { previous: 6 },
    ];
    for (const change of changes)
      refuses('LOG_COSIGNATURE_INVALID', {
        tamper: (proof) => ({ ...proof, epoch: { ...proof.epoch, ...change } }),
      });
  });

  test('of another policy under the pinned version is refused', () => {
    refuses('TRUST_POLICY_MISMATCH', { epoch: { policyHash: sha256(utf8('other')) } });
    refuses('TRUST_POLICY_MISMATCH', { epoch: { policyVersion: 0 } });
  });

  test('with a line value that the map does not hold is refused', () => {
    const { ledger, author } = scene();
    const before = proveLine(ledger, author.line);
    available(ledger, author, 3n);
    // What was true before 3 came, under the head after it.
    let older: UpdateProof['lineValue'] = null;
    proveLine(scene().ledger, author.line, {
      tamper: (proof) => ((older = proof.lineValue), proof),
    });
    const replayed = proveLine(ledger, author.line, {
      tamper: (proof) => ({ ...proof, lineValue: older }),
    });
    assert.notDeepEqual(replayed, before);
    assert.throws(() => acceptProof(provisionFor(ledger, author), NEW_READER, 0, replayed, NOW), {
      code: 'LOG_COSIGNATURE_INVALID',
    });
  });

  test('that a line does not exist is refused where one was provisioned', () => {
    const { ledger, author } = scene();
    const line = { ...author.line, track: 'beta' };
    const lines = [{ line, anchor: author.key.publicKey }];
    const provision = { ...provisionFor(ledger, author), lines };
    const proof = proveLine(ledger, line);
    assert.throws(() => acceptProof(provision, NEW_READER, 0, proof, NOW), {
      code: 'TRUST_LINE_ABSENT',
    });
  });

  test('for the line of another author is refused', () => {
    const { ledger, author } = scene();
    const other = ledger.author('other');
    available(ledger, other, 9n);
    const proof = proveLine(ledger, other.line);
    const provision = provisionFor(ledger, author);
    assert.throws(
      () => acceptProof(provision, NEW_READER, 0, proof, NOW),
      (error: { code?: string }) =>
        /^(?:TRUST_MAP_INVALID|LOG_COSIGNATURE_INVALID)$/.test(error.code ?? ''),
    );
  });

  test('with another author entry is refused', () => {
    refuses('TRUST_AUTHOR_MISMATCH', { tamper: (proof) => ({ ...proof, authorValue: null }) });
    refuses('TRUST_AUTHOR_MISMATCH', {
      tamper: (proof) => ({ ...proof, authorValue: utf8('another') }),
    });
  });

  test('of an older head, or of a fork, is refused', () => {
    const found = scene();
    const { state } = read(found, { size: 9 });
    assert.throws(() => read(found, { size: 8 }, state), { code: 'TRUST_HEAD_ROLLBACK' });
    const fork = { size: 9, epoch: { stateRoot: sha256(utf8('fork')) } };
    assert.throws(() => read(found, fork, state), { code: 'TRUST_HEAD_FORK' });
    read(found, { size: 9 }, state);
  });

  test('that is old is stale, not fresh, and moves no floor', () => {
    const { judged, state } = read(scene(), { time: NOW - 86_401 });
    assert.deepEqual(judged.freshness, { kind: 'stale', reason: 'age' });
    assert.equal(state.floor, 0);
    const ahead = read(scene(), { time: NOW + 301 });
    assert.deepEqual(ahead.judged.freshness, { kind: 'stale', reason: 'clock' });
  });

  test('is not made fresh by setting the clock back', () => {
    const floor = NOW + 86_402;
    const { judged } = read(scene(), {}, { ...NEW_READER, floor });
    assert.deepEqual(judged.freshness, { kind: 'stale', reason: 'age' });
  });

  test('of a lower lowest than one seen before is refused', () => {
    refuses('TRUST_HEAD_ROLLBACK', {}, { ...NEW_READER, lowest: [1n] });
  });
});

suite('T17: a release', () => {
  test('that is newest is accepted, byte for byte as signed', () => {
    const found = scene();
    const { judged } = read(found);
    const release = acceptRelease(judged, envelopeOf(found.newest), confirmed(1n, found.old));
    assert.equal(release.sequence, 2n);
    assert.deepEqual(
      chooseRelease([judged], confirmed(1n, found.old))?.digest,
      found.newest.digest,
    );
    assert.equal(chooseRelease([judged], confirmed(2n, found.newest)), undefined);
  });

  test('that is old is not accepted again', () => {
    const found = scene();
    const { judged } = read(found);
    assert.throws(() => acceptRelease(judged, envelopeOf(found.old), null), {
      code: 'TRUST_NOT_NEWEST',
    });
  });

  test('below the last confirmed one is refused, even as newest', () => {
    const found = scene();
    const { judged } = read(found);
    const later = confirmed(3n, found.old);
    assert.throws(() => acceptRelease(judged, envelopeOf(found.newest), later), {
      code: 'TRUST_SEQUENCE_ROLLBACK',
    });
    const twin = confirmed(2n, found.old);
    assert.throws(() => acceptRelease(judged, envelopeOf(found.newest), twin), {
      code: 'TRUST_SEQUENCE_ROLLBACK',
    });
  });

  test('T16: that is withdrawn is refused', () => {
    const found = scene();
    found.ledger.apply(found.ledger.withdraw(found.author, found.newest, 3n));
    const { judged } = read(found);
    assert.throws(() => acceptRelease(judged, envelopeOf(found.newest), null), {
      code: 'TRUST_WITHDRAWN',
    });
    assert.equal(chooseRelease([judged], null), undefined);
  });

  test('T16: that is pending is accepted only with its image in hand', () => {
    const found = scene();
    const pending = found.ledger.publish(found.author, 3n);
    const { judged } = read(found);
    assert.throws(() => acceptRelease(judged, envelopeOf(pending), null), {
      code: 'TRUST_NOT_NEWEST',
    });
    assert.equal(acceptRelease(judged, envelopeOf(pending), null, true).sequence, 3n);
  });

  test('of another author, network or hardware is refused', () => {
    const found = scene();
    const { judged } = read(found);
    const other = found.ledger.author('other');
    const foreign = found.ledger.release(other, 2n);
    assert.throws(() => acceptRelease(judged, envelopeOf(foreign), null), {
      code: 'SUIT_SIGNATURE_INVALID',
    });
    const { ledger, author } = found;
    const elsewhere = ledger.release(author, 2n, { claims: { network: '00'.repeat(32) } });
    assert.throws(() => acceptRelease(judged, envelopeOf(elsewhere), null), {
      code: 'TRUST_RELEASE_FOREIGN',
    });
    const beta = { ...author, line: { ...author.line, track: 'beta' } };
    assert.throws(() => acceptRelease(judged, envelopeOf(ledger.release(beta, 2n)), null), {
      code: 'TRUST_RELEASE_FOREIGN',
    });
    const issuer = { claims: { issuer: 'ab'.repeat(32) } };
    assert.throws(
      () => acceptRelease(judged, envelopeOf(ledger.release(author, 2n, issuer)), null),
      {
        code: 'TRUST_RELEASE_FOREIGN',
      },
    );
    assert.notDeepEqual(VENDOR, CLASS);
    const hardware = ledger.release(author, 2n, { vendor: CLASS });
    assert.throws(() => acceptRelease(judged, envelopeOf(hardware), null), {
      code: 'TRUST_CLAIM_MISMATCH',
    });
    const renumbered = ledger.release(author, 9n, { manifestSequence: 2n });
    assert.throws(() => acceptRelease(judged, envelopeOf(renumbered), null), {
      code: 'TRUST_CLAIM_MISMATCH',
    });
  });

  test('with a forged manifest is refused', () => {
    const found = scene();
    const { judged } = read(found);
    const { attachment } = found.ledger.release(found.author, 3n);
    assert.throws(() => acceptRelease(judged, envelopeOf({ ...found.newest, attachment }), null), {
      code: 'SUIT_SIGNATURE_INVALID',
    });
  });
});

suite('T29: anchors come from the maker', () => {
  test('a reader without a line refuses everything', () => {
    const { ledger, author } = scene();
    const provision = { ...provisionFor(ledger, author), lines: [] };
    const proof = proveLine(ledger, author.line);
    assert.throws(() => acceptProof(provision, NEW_READER, 0, proof, NOW), {
      code: 'TRUST_UNPROVISIONED',
    });
  });

  test('the word of the quorum does not replace the provisioned anchor', () => {
    const { ledger, author } = scene();
    const other = ledger.author('other');
    const lines = [{ line: author.line, anchor: other.key.publicKey }];
    const provision = { ...provisionFor(ledger, author), lines };
    const proof = proveLine(ledger, author.line);
    assert.throws(() => acceptProof(provision, NEW_READER, 0, proof, NOW), {
      code: 'TRUST_KEY_UNLINKED',
    });
  });

  test('operators of another root are nobody', () => {
    const { ledger, author } = scene();
    const foreign = new SampleLedger(5);
    const provision = { ...provisionFor(ledger, author), root: foreign.root };
    const proof = proveLine(ledger, author.line);
    assert.throws(() => acceptProof(provision, NEW_READER, 0, proof, NOW), {
      code: 'LOG_COSIGNATURE_INVALID',
    });
  });
});
