/** A thief holds a release key: what it can not do with it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { thumbprint } from '../../src/cose/key.ts';
import {
  delegation,
  revocation,
  rotation,
  transfer,
  type KeyChange,
} from '../../src/author/key-changes.ts';
import { declareStatement, withdrawStatement } from '../../src/author/statements.ts';
import { hex } from '../../src/bytes.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { approve, recoveryPayload } from '../../src/registry/recovery.ts';
import { createStatement } from '../../src/registry/statement.ts';
import { fixtureKey } from '../../src/testing/fixture.ts';
import { acceptance, withKey } from '../../src/testing/key-fixture.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import { KeyScene } from './sample-keys.ts';

const mine = fixtureKey('thief');
const next = fixtureKey('next');
const stolen = (scene: KeyScene): PrivateKey => scene.author.key as PrivateKey;

function thefts(scene: KeyScene): readonly KeyChange[] {
  const { author, line } = scene;
  const accomplice = scene.registered('accomplice');
  return [
    rotation(author.author, [mine.publicKey]),
    rotation(author.author, [mine.publicKey], { keys: [next.publicKey], threshold: 1 }),
    revocation(author.author, thumbprint(author.key.publicKey), 0),
    delegation(line, mine.publicKey, true),
    transfer(line, accomplice.author, acceptance(accomplice, line, author)),
  ];
}

function refuses(scene: KeyScene, change: KeyChange, code: string, signers: readonly PrivateKey[]) {
  assert.throws(() => scene.ledger.apply(scene.signed(change, scene.author, [...signers])), {
    code,
  });
}

suite('T01: a thief with a release key', () => {
  test('rotates, revokes, delegates and transfers nothing', () => {
    const scene = new KeyScene();
    const [one] = scene.author.recovery;
    assert.ok(one);
    for (const change of thefts(scene)) {
      refuses(scene, change, 'STATEMENT_SIGNER_UNKNOWN', [stolen(scene)]);
      refuses(scene, change, 'STATEMENT_SIGNER_UNKNOWN', [mine, stolen(scene)]);
      // With one recovery key of the two that it takes.
      refuses(scene, change, 'STATEMENT_SIGNER_UNKNOWN', [stolen(scene), one]);
      refuses(scene, change, 'STATEMENT_SIGNER_UNKNOWN', [one, stolen(scene)]);
      refuses(scene, change, 'RECOVERY_THRESHOLD', [one]);
    }
  });

  test('nor with an approval of another statement, or given twice', () => {
    const scene = new KeyScene();
    const [one, two] = scene.author.recovery as [PrivateKey, PrivateKey];
    const issuer = hex(scene.author.author);
    const { body } = rotation(scene.author.author, [mine.publicKey]);
    const claims = {
      kind: 'key.rotate',
      issuer,
      subject: issuer,
      network: hex(scene.ledger.networkId),
      counter: 50n,
    } as const;
    const honest = rotation(scene.author.author, [next.publicKey]);
    const approvals = [
      approve(two, claims, honest.body),
      approve(two, { ...claims, counter: 49n }, body),
      approve(two, { ...claims, kind: 'key.revoke' }, body),
      approve(two, { ...claims, network: 'ab'.repeat(32) }, body),
    ];
    for (const approval of approvals) {
      const forged = createStatement(one, claims, recoveryPayload(body, [approval]));
      assert.throws(() => scene.ledger.apply(forged), { code: 'COSE_SIGNATURE_INVALID' });
    }
    const own = approve(one, claims, body);
    const alone = createStatement(one, claims, recoveryPayload(body, [own, own]));
    assert.throws(() => scene.ledger.apply(alone), { code: 'RECOVERY_THRESHOLD' });
  });

  test('can not keep the author from recovering, by counters or by gifts', () => {
    const scene = new KeyScene();
    const { author, line } = scene;
    const model = { ...line, track: 'beta' };
    scene.ledger.apply(declareStatement(author, 2n ** 64n - 1n, model));
    scene.change(rotation(author.author, [next.publicKey]));
    scene.ledger.apply(declareStatement(withKey(author, next), 1n, { ...line, track: 'lts' }));
    // A line whose old keys are the victim's recovery keys would block every rotation to come.
    const rogue = scene.registered('rogue');
    const bait = { ...line, author: rogue.author };
    scene.ledger.apply(declareStatement(rogue, 2n, bait));
    const recovery = author.recovery.map((key) => key.publicKey);
    const renamed = scene.signed(rotation(rogue.author, recovery), rogue);
    scene.ledger.apply(renamed);
    const taken = acceptance(withKey(author, next), bait, rogue);
    const gift = scene.signed(transfer(bait, author.author, taken), rogue);
    assert.throws(() => scene.ledger.apply(gift), { code: 'TRANSFER_INVALID' });
  });

  test('publishes no more once the key is rotated away, and what it published is taken back', () => {
    const scene = new KeyScene();
    const { author } = scene;
    const good = scene.publish(author, 1n);
    const bad = scene.publish(author, 2n);
    assert.deepEqual(scene.ledger.line(scene.line)?.newest?.digest, bad.digest);
    scene.change(rotation(author.author, [next.publicKey]));
    const late = fixtureRelease(author, scene.line, 3n);
    assert.throws(() => scene.ledger.apply(late.statement, late.attachment), {
      code: 'STATEMENT_SIGNER_UNKNOWN',
    });
    // On this ledger the first release has index 6, the second a higher one.
    scene.change(revocation(author.author, thumbprint(author.key.publicKey), 8));
    assert.deepEqual(scene.ledger.line(scene.line)?.newest?.digest, good.digest);
    const back = withdrawStatement(author, 2_000n, scene.line, {
      release: good.digest,
      lowest: 0n,
      reason: 'spite',
    });
    assert.throws(() => scene.ledger.apply(back), { code: 'STATEMENT_SIGNER_UNKNOWN' });
  });

  test('no release key is ever a recovery key, of now or of before', () => {
    const scene = new KeyScene();
    const { author } = scene;
    const old = author.key.publicKey;
    for (const keys of [[next.publicKey], [old], [old, next.publicKey]]) {
      const change = rotation(author.author, [next.publicKey], { keys, threshold: 1 });
      refuses(scene, change, 'AUTHOR_INVALID', author.recovery.slice(0, 2));
    }
  });

  test("a recovery statement that is replayed, or another network's, is refused", () => {
    const scene = new KeyScene();
    const first = scene.change(rotation(scene.author.author, [next.publicKey]));
    scene.change(rotation(scene.author.author, [fixtureKey('later').publicKey]));
    assert.throws(() => scene.ledger.apply(first), { code: 'STATEMENT_COUNTER' });
    const elsewhere = { ...scene.author, networkId: new Uint8Array(32) };
    const foreign = scene.signed(rotation(scene.author.author, [mine.publicKey]), elsewhere);
    assert.throws(() => scene.ledger.apply(foreign), { code: 'STATEMENT_NETWORK' });
  });
});

suite('T01: a delegate', () => {
  test('that is an author of its own has no more power over the line than any other', () => {
    const scene = new KeyScene();
    const friend = scene.registered('friend');
    scene.change(delegation(scene.line, friend.key.publicKey, true));
    const release = scene.publish(friend, 1n);
    const withdrawal = { release: release.digest, lowest: 0n, reason: 'mine' };
    const withdraw = withdrawStatement(friend, 5_000n, scene.line, withdrawal);
    assert.throws(() => scene.ledger.apply(withdraw), { code: 'LINE_FOREIGN' });
    // Its first key may even be a recovery key of its own by now: the line is still not its to give away.
    const keys = [friend.key.publicKey, fixtureKey('spare').publicKey];
    const turned = scene.signed(
      rotation(friend.author, [mine.publicKey], { keys, threshold: 1 }),
      friend,
    );
    assert.throws(() => scene.ledger.apply(turned), { code: 'AUTHOR_INVALID' });
    const given = transfer(scene.line, friend.author, acceptance(friend, scene.line, scene.author));
    assert.throws(() => scene.ledger.apply(scene.signed(given, friend)), { code: 'LINE_FOREIGN' });
  });

  test('whose delegation ended signs no more', () => {
    const scene = new KeyScene();
    const friend = scene.registered('friend');
    scene.change(delegation(scene.line, friend.key.publicKey, true));
    scene.change(delegation(scene.line, friend.key.publicKey, false));
    const late = fixtureRelease(friend, scene.line, 1n);
    assert.throws(() => scene.ledger.apply(late.statement, late.attachment), {
      code: 'LINE_FOREIGN',
    });
  });
});

suite('T01: a transfer', () => {
  test('needs the word of who is to get the line', () => {
    const scene = new KeyScene();
    const heir = scene.registered('heir');
    const bad = [
      acceptance(withKey(heir, mine), scene.line, scene.author),
      acceptance(heir, { ...scene.line, track: 'beta' }, scene.author),
      acceptance(heir, scene.line, heir),
    ];
    for (const word of bad) {
      const given = scene.signed(transfer(scene.line, heir.author, word));
      assert.throws(() => scene.ledger.apply(given), { code: 'TRANSFER_INVALID' });
    }
  });

  test('leaves the owner of before nothing to take back but what it signed', () => {
    const scene = new KeyScene();
    const heir = scene.registered('heir');
    scene.publish(scene.author, 1n);
    scene.change(transfer(scene.line, heir.author, acceptance(heir, scene.line, scene.author)));
    const own = scene.publish(heir, 2n);
    const keys = [next.publicKey, heir.key.publicKey];
    scene.ledger.apply(scene.signed(rotation(scene.author.author, keys)));
    const spite = revocation(scene.author.author, thumbprint(heir.key.publicKey), 0);
    scene.ledger.apply(scene.signed(spite));
    assert.deepEqual(scene.ledger.line(scene.line)?.newest?.digest, own.digest);
  });
});
