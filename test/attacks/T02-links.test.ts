/** A quorum that lies, or nodes that cut and mix links: what a device believes of an author's keys. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { encodeKey, thumbprint } from '../../src/cose/key.ts';
import { delegation, revocation, rotation, transfer } from '../../src/author/key-changes.ts';
import { hex } from '../../src/bytes.ts';
import type { PrivateKey } from '../../src/crypto/key.ts';
import { createStatement } from '../../src/registry/statement.ts';
import { fixtureKey } from '../../src/testing/fixture.ts';
import { acceptance, recoveryStatement, withKey } from '../../src/testing/key-fixture.ts';
import { fixtureRelease } from '../../src/testing/release-fixture.ts';
import { install, KeyScene } from './sample-keys.ts';

const mine = fixtureKey('thief');
const key = (i: number): PrivateKey => fixtureKey(`release key ${i}`);
const refused = { code: 'TRUST_LINK_INVALID' };

/** Ten rotations; with the fifth the recovery keys change, and the last key signs a release. */
function rotatedTen() {
  const scene = new KeyScene();
  const { author } = scene;
  const fresh = [1, 2, 3].map((i) => fixtureKey(`fresh recovery ${i}`));
  const set = { keys: fresh.map((each) => each.publicKey), threshold: 2 };
  for (let i = 1; i <= 10; i++) {
    const change = rotation(author.author, [key(i).publicKey], i === 5 ? set : undefined);
    scene.change(
      change,
      author,
      i <= 5 ? author.recovery.slice(1) : ([fresh[2], fresh[0]] as never),
    );
  }
  const now = withKey(author, key(10));
  return { scene, now, release: scene.publish(now, 1n) };
}

suite('T02: a device follows its author', () => {
  test('over ten rotations and changed recovery keys, in one go', () => {
    const { scene, release } = rotatedTen();
    const read = scene.read(scene.links);
    assert.equal(install(read, release), 1n);
    assert.equal(read.judged.chain.count, 11);
    // What was checked is kept, and not asked for again.
    assert.equal(install(scene.read([], { state: read.state }), release), 1n);
  });

  test('and in steps', () => {
    const { scene, release } = rotatedTen();
    let { state, judged } = scene.read([]);
    for (const link of scene.links) {
      const read = scene.read([link], { state });
      assert.equal(read.judged.chain.count, judged.chain.count + 1);
      ({ state, judged } = read);
      if (judged.chain.count < 11)
        assert.throws(() => install(read, release), { code: 'TRUST_KEY_UNLINKED' });
    }
    assert.equal(install({ judged, state }, release), 1n);
  });

  test('and takes releases of retired keys that are still newest', () => {
    const scene = new KeyScene();
    const release = scene.publish(scene.author, 1n);
    scene.change(rotation(scene.author.author, [key(1).publicKey]));
    assert.equal(install(scene.read(scene.links), release), 1n);
    assert.equal(install(scene.read([]), release), 1n);
  });

  test('after the first key was revoked from the beginning', () => {
    const { scene, now, release } = rotatedTen();
    const fresh = [1, 2].map((i) => fixtureKey(`fresh recovery ${i}`));
    const { state } = scene.read(scene.links.slice(0, 3));
    const oldest = thumbprint(scene.author.key.publicKey);
    scene.change(revocation(now.author, oldest, 0), now, fresh);
    const read = scene.read(scene.links.slice(3), { state });
    assert.equal(install(read, release), 1n);
    assert.equal(install(scene.read([], { state: read.state }), release), 1n);
    assert.ok(
      !read.judged.chain.keys.some(
        (each) => hex(each.key) === hex(encodeKey(scene.author.key.publicKey)),
      ),
    );
  });

  test('to a delegate while the author entry lists it, and to a new owner', () => {
    const scene = new KeyScene();
    const helper = fixtureKey('helper');
    const delegate = { ...withKey(scene.author, helper), author: thumbprint(helper.publicKey) };
    scene.change(delegation(scene.line, helper.publicKey, true));
    const delegated = scene.publish(delegate, 1n);
    assert.equal(install(scene.read(scene.links), delegated), 1n);
    scene.change(delegation(scene.line, helper.publicKey, false));
    assert.equal(install(scene.read(scene.links), delegated), 1n);
    const heir = scene.registered('heir');
    scene.change(transfer(scene.line, heir.author, acceptance(heir, scene.line, scene.author)));
    scene.links.push(scene.registration(heir).bytes);
    const before = scene.read(scene.links, { owner: heir });
    assert.equal(install(before, delegated), 1n);
    scene.change(rotation(heir.author, [key(1).publicKey]), heir);
    const release = scene.publish(withKey(heir, key(1)), 2n);
    assert.throws(() => install(scene.read([], { state: before.state, owner: heir }), release), {
      code: 'TRUST_KEY_UNLINKED',
    });
    const read = scene.read(scene.links.slice(-1), { state: before.state, owner: heir });
    assert.equal(install(read, release), 2n);
    assert.deepEqual(read.judged.chain.owner, heir.author);
  });
});

suite('T02: the word of the quorum', () => {
  test('never puts a key in: it is unlinked', () => {
    const scene = new KeyScene();
    const forged = fixtureRelease(withKey(scene.author, mine), scene.line, 1n);
    scene.offer(forged, 1n);
    scene.lie(({ keys }) => ({ keys: [...keys, thumbprint(mine.publicKey)] }));
    assert.throws(() => install(scene.read(scene.links), forged), { code: 'TRUST_KEY_UNLINKED' });
    assert.throws(() => install(scene.read([]), forged), { code: 'TRUST_KEY_UNLINKED' });
  });

  test('takes a key out: it is unlisted, and so is a delegate', () => {
    const scene = new KeyScene();
    const helper = fixtureKey('helper');
    const delegate = { ...withKey(scene.author, helper), author: thumbprint(helper.publicKey) };
    scene.change(delegation(scene.line, helper.publicKey, true));
    const release = scene.publish(delegate, 1n);
    scene.lie(() => ({ delegations: [] }));
    assert.throws(() => install(scene.read(scene.links), release), { code: 'TRUST_KEY_UNLISTED' });
    scene.lie(() => ({ keys: [thumbprint(mine.publicKey)] }));
    assert.throws(() => scene.read([]), { code: 'TRUST_KEY_UNLISTED' });
    const second = scene.publish(scene.author, 2n);
    scene.lie(() => ({ keys: [thumbprint(mine.publicKey)] }));
    assert.throws(() => install(scene.read(scene.links), second), { code: 'TRUST_KEY_UNLISTED' });
  });

  test('does not lend one signer the name of another', () => {
    const scene = new KeyScene();
    const helper = fixtureKey('helper');
    scene.change(delegation(scene.line, helper.publicKey, true));
    const posing = fixtureRelease(withKey(scene.author, helper), scene.line, 1n);
    scene.offer(posing, 1n);
    assert.throws(() => install(scene.read(scene.links), posing), {
      code: 'TRUST_RELEASE_FOREIGN',
    });
  });

  test('does not make a rotation by a release key one', () => {
    const scene = new KeyScene();
    const stolen = scene.author.key as PrivateKey;
    const theft = rotation(scene.author.author, [mine.publicKey]);
    const [one] = scene.author.recovery;
    assert.ok(one);
    const release = fixtureRelease(withKey(scene.author, mine), scene.line, 1n);
    scene.offer(release, 1n);
    scene.lie(() => ({ keys: [thumbprint(mine.publicKey)] }));
    for (const signers of [[stolen], [mine, stolen], [stolen, one], [one, stolen], [one]]) {
      const link = scene.signed(theft, scene.author, signers).bytes;
      assert.throws(() => scene.read([...scene.links, link]), refused);
      assert.throws(() => scene.read([link]), refused);
    }
  });
});

suite('T02: links', () => {
  test('that are missing, reordered or repeated are refused', () => {
    const { scene } = rotatedTen();
    const { links } = scene;
    const without = (i: number): readonly Uint8Array[] => links.toSpliced(i, 1);
    // Without the fifth rotation the recovery keys of the sixth are unknown; without the first nothing is known.
    for (const cut of [without(0), without(5)]) assert.throws(() => scene.read(cut), refused);
    const swapped = links.with(2, links[3] as Uint8Array).with(3, links[2] as Uint8Array);
    assert.throws(() => scene.read(swapped), refused);
    for (const i of [0, 1, 10])
      assert.throws(() => scene.read(links.toSpliced(i, 0, links[i] as Uint8Array)), refused);
    const { state } = scene.read(links);
    for (const link of links) assert.throws(() => scene.read([link], { state }), refused);
    // One that was left out costs the device that key, and gives nobody another.
    const release = scene.read(without(10));
    assert.equal(release.judged.chain.count, 10);
  });

  test('of another network, author or line are refused', () => {
    const scene = new KeyScene();
    const { author, line } = scene;
    const set = author.recovery.slice(0, 2);
    const next = rotation(author.author, [mine.publicKey]);
    const networkId = new Uint8Array(32);
    const foreign = recoveryStatement({ ...author, networkId }, 50n, next, set).bytes;
    const stranger = scene.registered('stranger');
    const theirs = scene.signed(rotation(stranger.author, [mine.publicKey]), stranger).bytes;
    // A firm with two authors under the same recovery keys: what they sign for one is not the other's.
    const sister = { ...stranger, recovery: author.recovery };
    const sisters = scene.signed(rotation(sister.author, [mine.publicKey]), sister).bytes;
    const beta = { ...line, track: 'beta' };
    const elsewhere = [
      scene.signed(delegation(beta, mine.publicKey, true)).bytes,
      scene.signed(transfer(beta, stranger.author, acceptance(stranger, beta, author))).bytes,
      scene.registration(stranger).bytes,
      fixtureRelease(author, line, 1n).statement.bytes,
      new Uint8Array(5),
    ];
    for (const link of [foreign, theirs, sisters, ...elsewhere])
      assert.throws(() => scene.read([...scene.links, link]), refused);
  });

  test('of a second registration are refused, whoever signed it', () => {
    const scene = new KeyScene();
    const forged = scene.registration(scene.author, [mine, fixtureKey('mine 2')]).bytes;
    assert.throws(() => scene.read([...scene.links, forged]), refused);
    const { state } = scene.read(scene.links);
    assert.throws(() => scene.read([forged], { state }), refused);
    const stranger = scene.registered('stranger');
    const posing = scene.registration({ ...scene.author, key: stranger.key }).bytes;
    assert.throws(() => scene.read([posing]), refused);
    assert.throws(() => scene.read([scene.registration(stranger).bytes]), refused);
    const { issuer, subject, network = '', payload } = scene.registration(scene.author);
    const claims = { kind: 'author.register', issuer, subject, network, counter: 1n } as const;
    const unsigned = createStatement(mine, claims, payload).bytes;
    assert.throws(() => scene.read([unsigned]), refused);
  });

  test('refused teach a device nothing', () => {
    const { scene, release } = rotatedTen();
    const { state } = scene.read(scene.links.slice(0, 4));
    const forged = scene.signed(rotation(scene.author.author, [mine.publicKey]), scene.author, [
      mine,
    ]);
    assert.throws(() => scene.read([...scene.links.slice(4), forged.bytes], { state }), refused);
    assert.equal(install(scene.read(scene.links.slice(4), { state }), release), 1n);
  });

  test("without the signature of a line's new owner do not change it back", () => {
    const scene = new KeyScene();
    const heir = scene.registered('heir');
    scene.change(transfer(scene.line, heir.author, acceptance(heir, scene.line, scene.author)));
    scene.links.push(scene.registration(heir).bytes);
    const late = scene.signed(rotation(scene.author.author, [mine.publicKey])).bytes;
    assert.throws(() => scene.read([...scene.links, late], { owner: heir }), refused);
  });
});
