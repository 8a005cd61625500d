import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { hex } from '../../src/bytes.ts';
import type { ReleaseClaims } from '../../src/registry/claims.ts';
import { lineKey, type Line } from '../../src/registry/line.ts';
import { encodeLineValue } from '../../src/registry/map-value.ts';
import { acceptProof, acceptRelease, choicesOf, type JudgedLine } from '../../src/trust/accept.ts';
import type { Confirmed } from '../../src/trust/state.ts';
import { honestNode, SampleDevice } from './sample-device.ts';
import { SampleLedger, type SampleAuthor, type SampleRelease } from './sample-ledger.ts';
import { envelopeOf, NEW_READER, NOW, proveLine, provisionFor } from './sample-proof.ts';

class Scene {
  readonly ledger = new SampleLedger();
  readonly author = this.ledger.author('author');

  publish(sequence: bigint, claims: Partial<ReleaseClaims> = {}, line?: Line): SampleRelease {
    const release: ReleaseClaims = {
      version: `${sequence}`,
      urgency: 'functional',
      documents: [],
      ...claims,
    };
    const changes = { claims: { release } };
    const published = this.ledger.publish(this.on(line), sequence, changes);
    for (const operator of ['o1', 'o2'])
      this.ledger.apply(this.ledger.hold(operator, this.on(line), published));
    return published;
  }

  on(line = this.author.line): SampleAuthor {
    return { ...this.author, line };
  }

  track(track: string): Line {
    const line = { ...this.author.line, track };
    this.ledger.apply(this.ledger.declare(this.author.key, line, { issuer: hex(this.author.id) }));
    return line;
  }

  judged(line?: Line): JudgedLine {
    const author = this.on(line);
    const proof = proveLine(this.ledger, author.line);
    return acceptProof(provisionFor(this.ledger, author), NEW_READER, 0, proof, NOW).judged;
  }
}

function at(sequence: bigint, release: SampleRelease): Confirmed {
  return { sequence, digest: release.digest };
}

/** 1, 2 (the waypoint), 4 over 2 and above, via 2. */
function waypoint() {
  const scene = new Scene();
  const [one, two] = [scene.publish(1n), scene.publish(2n)];
  const four = scene.publish(4n, { applies: [2n, 3n], via: two.digest });
  return { scene, one, two, four, judged: scene.judged() };
}

suite('T16: waypoints and ranges', () => {
  test('a release is not installed over one that it is not for', () => {
    const { judged, one, two, four } = waypoint();
    const envelope = envelopeOf(four);
    assert.throws(() => acceptRelease(judged, envelope, at(1n, one)), {
      code: 'TRUST_NOT_APPLICABLE',
    });
    assert.equal(acceptRelease(judged, envelope, at(2n, two)).sequence, 4n);
    assert.equal(acceptRelease(judged, envelope, null).sequence, 4n);
  });

  test('the waypoint is for those who can not take the newest, and for nobody else', () => {
    const { judged, one, two } = waypoint();
    const envelope = envelopeOf(two);
    assert.deepEqual(choicesOf([judged], at(1n, one))[0]?.digest, two.digest);
    assert.equal(acceptRelease(judged, envelope, at(1n, one)).sequence, 2n);
    assert.throws(() => acceptRelease(judged, envelope, null), { code: 'TRUST_NOT_NEWEST' });
    const between = { sequence: 3n, digest: new Uint8Array(32) };
    assert.throws(() => acceptRelease(judged, envelope, between), { code: 'TRUST_NOT_NEWEST' });
  });

  test('nobody goes back to a waypoint', () => {
    const scene = new Scene();
    const two = scene.publish(2n);
    const three = scene.publish(3n);
    scene.publish(4n, { applies: [2n, 2n], via: two.digest });
    const judged = scene.judged();
    assert.throws(() => acceptRelease(judged, envelopeOf(two), at(3n, three)), {
      code: 'TRUST_SEQUENCE_ROLLBACK',
    });
  });

  test('a waypoint has a range of its own', () => {
    const scene = new Scene();
    const [one, two] = [scene.publish(1n), scene.publish(2n)];
    const three = scene.publish(3n, { applies: [2n, 2n] });
    scene.publish(4n, { applies: [3n, 3n], via: three.digest });
    const judged = scene.judged();
    assert.throws(() => acceptRelease(judged, envelopeOf(three), at(1n, one)), {
      code: 'TRUST_NOT_APPLICABLE',
    });
    assert.equal(acceptRelease(judged, envelopeOf(three), at(2n, two)).sequence, 3n);
  });

  test('where no way leads on, the reader is told', () => {
    const { scene, judged, one, two } = waypoint();
    assert.equal(choicesOf([judged], at(1n, one))[0]?.as, 'via');
    scene.ledger.apply(scene.ledger.withdraw(scene.author, two, 0n));
    assert.throws(() => choicesOf([scene.judged()], at(1n, one)), { code: 'TRUST_NOT_APPLICABLE' });
    const far = { sequence: 9n, digest: two.digest };
    assert.deepEqual(choicesOf([judged], far), []);
  });

  test('a pending release has its range too, and is chosen only with its image in hand', () => {
    const { scene, two } = waypoint();
    const five = scene.ledger.publish(scene.author, 5n, {
      claims: {
        release: { version: '5', urgency: 'functional', documents: [], applies: [4n, 4n] },
      },
    });
    const judged = scene.judged();
    const wish = { imageInHand: five.digest };
    assert.equal(choicesOf([judged], at(4n, two))[0], undefined);
    assert.equal(choicesOf([judged], at(4n, two), wish)[0]?.as, 'pending');
    assert.equal(choicesOf([judged], at(2n, two), wish)[0]?.as, 'newest');
    assert.throws(() => acceptRelease(judged, envelopeOf(five), at(2n, two), true), {
      code: 'TRUST_NOT_APPLICABLE',
    });
    assert.equal(acceptRelease(judged, envelopeOf(five), at(4n, two), true).sequence, 5n);
  });

  test('a map that says otherwise than the author signed is refused', () => {
    const { scene, four, two } = waypoint();
    const name = hex(lineKey(scene.author.line));
    const entry = scene.ledger.map.get(name)!;
    const { newest, ...rest } = scene.judged().proven.value;
    for (const change of [{ applies: null }, { via: four.digest }, { sequence: 5n }] as const) {
      const value = encodeLineValue({ ...rest, newest: { ...newest!, ...change } });
      scene.ledger.map.set(name, { ...entry, value });
      assert.throws(() => acceptRelease(scene.judged(), envelopeOf(four), at(2n, two)), {
        code: 'TRUST_CLAIM_MISMATCH',
      });
    }
  });
});

suite('T16, T17: tracks in order', () => {
  test('the first track that has one to install wins, and one that has none gives way', () => {
    const scene = new Scene();
    const fixes = scene.track('1.x');
    const one = scene.publish(1n);
    const fix = scene.publish(3n, {}, fixes);
    const two = scene.publish(2n);
    const lines = [scene.judged(fixes), scene.judged()];
    const digests = (of: readonly JudgedLine[], confirmed: Confirmed | null) =>
      choicesOf(of, confirmed).map(({ digest }) => hex(digest));
    assert.deepEqual(digests(lines, at(1n, one)), [hex(fix.digest), hex(two.digest)]);
    assert.deepEqual(digests(lines.toReversed(), at(1n, one)), [hex(two.digest), hex(fix.digest)]);
    // All tracks of a device have one order of sequences.
    assert.deepEqual(digests(lines, at(3n, fix)), []);
    assert.deepEqual(digests(lines.toReversed(), at(2n, two)), [hex(fix.digest)]);
  });

  test('a release of one track is none of another', () => {
    const scene = new Scene();
    const fixes = scene.track('1.x');
    scene.publish(1n);
    const fix = scene.publish(3n, {}, fixes);
    assert.throws(() => acceptRelease(scene.judged(), envelopeOf(fix), null), {
      code: 'TRUST_RELEASE_FOREIGN',
    });
  });

  test('what can not be installed of the first track does not hold back the second', async () => {
    const scene = new Scene();
    const fixes = scene.track('1.x');
    const two = scene.publish(2n, {}, fixes);
    const three = scene.publish(3n, {}, fixes);
    // Offered as a waypoint to whoever is at 3, who can't go back to it.
    const four = scene.publish(4n, { applies: [2n, 2n], via: two.digest }, fixes);
    const nine = scene.publish(9n);
    const lines = [fixes, scene.author.line];
    const device = await SampleDevice.boot(scene.ledger, scene.author, undefined, { lines });
    const line = scene.on(fixes).line.track;
    await device.state.update((before) => ({
      ...before,
      lines: new Map().set(
        `${hex(scene.author.id)}/${hex(fixes.vendor)}/${hex(fixes.class)}/${line}`,
        {
          chain: null,
          lowest: 0n,
          confirmed: { sequence: 3n, digest: hex(three.digest) },
        },
      ),
    }));
    const node = honestNode(scene.ledger, scene.author, [two, three, four, nine]);
    const latest = (of: Line): Uint8Array => proveLine(scene.ledger, of);
    const result = await device.poll({ ...node, latest });
    assert.deepEqual(
      [result.outcome, result.digest],
      ['installed', hex(nine.digest)],
      String(result.code),
    );
  });
});
