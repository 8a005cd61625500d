// T28: what a node, an author's server or anybody else announces is a hint. Nothing is offered to a device without the
// update proof of a registered release, its author's signature, and its very image.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../../src/bytes.ts';
import { forgeEnvelope } from '../../src/testing/tricks.ts';
import { availableRelease, honestNode, imageOf, type SampleAnswers } from './sample-device.ts';
import { imageSource, sampleGateway } from './sample-gateway.ts';
import { SampleLedger } from './sample-ledger.ts';
import { envelopeOf, proveLine } from './sample-proof.ts';

const MALWARE = utf8('image X');
const thief = privateKey('Ed25519', sha256(utf8('thief')));

function scene() {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const honest = honestNode(ledger, author, [first]);
  return { ledger, author, first, honest };
}

/** After this node's answers the device has no offer, and the honest node's release is offered all the same. */
async function nobodyIsOffered(
  { ledger, author, first, honest }: ReturnType<typeof scene>,
  lies: Partial<SampleAnswers>,
  code: RegExp,
): Promise<void> {
  await using gateway = await sampleGateway(ledger, author);
  await gateway.round({ ...honest, ...lies });
  assert.deepEqual(gateway.offers, []);
  assert.ok(
    [...gateway.said('refused'), ...gateway.said('download')].some((detail) => code.test(detail)),
    JSON.stringify(gateway.said('refused')),
  );
  await gateway.round(honest);
  assert.deepEqual(
    gateway.offers.map(({ digest }) => digest),
    [hex(first.digest)],
  );
}

suite('T28: an announcement is a hint', () => {
  test('a release that is registered, proven and here is offered', async () => {
    const { ledger, author, first, honest } = scene();
    await using gateway = await sampleGateway(ledger, author);
    await gateway.round(honest);
    assert.deepEqual(
      gateway.offers.map(({ digest, sha256: image }) => [digest, image]),
      [[hex(first.digest), hex(first.image)]],
    );
  });

  test('a forged latest answer: nonsense, too few operators, a changed entry, no proof for this line', async () => {
    const now = scene();
    const { ledger, author } = now;
    const other = ledger.author('other');
    const foreign = availableRelease(ledger, other, 5n);
    for (const [latest, code] of [
      [Uint8Array.of(0x83, 1, 2, 3), /CBOR_|TRUST_/],
      [proveLine(ledger, author.line, { signers: ['o1'] }), /TRUST_QUORUM/],
      [
        proveLine(ledger, author.line, { tamper: (proof) => ({ ...proof, size: proof.size + 1 }) }),
        /LOG_|TRUST_/,
      ],
      [
        proveLine(ledger, author.line, { tamper: (proof) => ({ ...proof, lineValue: null }) }),
        /LOG_|TRUST_/,
      ],
      [proveLine(ledger, other.line), /LOG_|TRUST_/],
    ] as const)
      await nobodyIsOffered(now, { latest: () => latest }, code);
    // The proof of another author's line, with that author's release behind it.
    const both = {
      latest: () => proveLine(ledger, other.line),
      release: () => envelopeOf(foreign),
    };
    await nobodyIsOffered(now, both, /LOG_|TRUST_/);
  });

  test('another release than the proof names: of another author, never registered, of before, forged', async () => {
    const now = scene();
    const { ledger, author, first } = now;
    const other = ledger.author('other');
    const foreign = availableRelease(ledger, other, 1n);
    const unregistered = ledger.release(author, 9n);
    const images = { from: first.image, to: sha256(MALWARE) };
    for (const [envelope, code] of [
      [envelopeOf(foreign), /TRUST_|SUIT_/],
      [envelopeOf(unregistered), /TRUST_NOT_NEWEST/],
      [forgeEnvelope(envelopeOf(first), images, thief), /SUIT_SIGNATURE_INVALID/],
      [Uint8Array.of(0xa0), /SUIT_|CBOR_/],
    ] as const)
      await nobodyIsOffered(now, { release: () => envelope, image: () => MALWARE }, code);
    const second = availableRelease(ledger, author, 2n);
    const honest = honestNode(ledger, author, [first, second], { size: 12 });
    const later = { ...now, first: second, honest };
    const old = { release: () => envelopeOf(first) };
    await nobodyIsOffered(later, old, /TRUST_NOT_NEWEST/);
  });

  test('another image than the release names, from a node or from the author’s own server', async () => {
    const now = scene();
    const { ledger, author, first, honest } = now;
    await nobodyIsOffered(now, { image: () => MALWARE }, /DEVICE_DOWNLOAD_MISMATCH/);
    const none = { ...honest, image: () => new Uint8Array() };
    let server = MALWARE;
    await using gateway = await sampleGateway(ledger, author, {
      authorServer: () => [imageSource('https://author.example', () => server)],
    });
    await gateway.round(none);
    await gateway.round(none);
    assert.deepEqual(gateway.offers, []);
    assert.ok(gateway.said('download').some((detail) => detail.includes('DEVICE_DOWNLOAD_')));
    server = imageOf(1n);
    await gateway.round(none);
    assert.deepEqual(
      gateway.offers.map(({ digest }) => digest),
      [hex(first.digest)],
    );
  });

  test('an answer of before takes nothing back and brings nothing back', async () => {
    const { ledger, author, first, honest: before } = scene();
    const second = availableRelease(ledger, author, 2n);
    const now = honestNode(ledger, author, [first, second], { size: 12 });
    await using gateway = await sampleGateway(ledger, author);
    await gateway.round(now);
    const { retained } = gateway;
    await gateway.round(before);
    assert.ok(gateway.said('refused').some((detail) => detail.includes('TRUST_HEAD_ROLLBACK')));
    assert.equal(gateway.retained, retained);
    assert.deepEqual(
      gateway.offers.map(({ digest }) => digest),
      [hex(second.digest)],
    );
  });
});
