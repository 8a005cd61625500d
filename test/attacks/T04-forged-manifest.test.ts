import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privateKey, sha256 } from '#crypto';
import { hex, utf8 } from '../../src/bytes.ts';
import { encodeSign1 } from '../../src/cose/sign1.ts';
import { buildEnvelope } from '../../src/suit/build.ts';
import { suitDigest } from '../../src/suit/digest.ts';
import { forgeEnvelope } from '../../src/testing/tricks.ts';
import { SampleLedger, type SampleRelease } from './sample-ledger.ts';
import { availableRelease, honestNode, SampleDevice } from './sample-device.ts';
import { envelopeOf } from './sample-proof.ts';

const MALWARE = utf8('image X');

async function refusedWith(
  forge: (newest: SampleRelease, old: SampleRelease) => Uint8Array,
): Promise<string | undefined> {
  const ledger = new SampleLedger();
  const author = ledger.author('author');
  const first = availableRelease(ledger, author, 1n);
  const device = await SampleDevice.boot(ledger, author);
  await device.poll(honestNode(ledger, author, [first], { size: 9 }));
  const second = availableRelease(ledger, author, 2n);
  const honest = honestNode(ledger, author, [first, second], { size: 12 });
  const forged = forge(second, first);
  const { code } = await device.poll({ ...honest, release: () => forged, image: () => MALWARE });
  assert.equal(device.runs, hex(first.digest));
  return code;
}

test("T04: a manifest signed by another key under the author's name is refused", async () => {
  const thief = privateKey('Ed25519', sha256(utf8('thief')));
  const images = (release: SampleRelease) => ({ from: release.image, to: sha256(MALWARE) });
  const code = await refusedWith((newest) =>
    forgeEnvelope(envelopeOf(newest), images(newest), thief),
  );
  assert.equal(code, 'SUIT_SIGNATURE_INVALID');
});

test('T04: another manifest beside the true digest and signature is refused', async () => {
  const code = await refusedWith(({ statement, attachment }, old) => {
    const { protectedBytes, signature } = statement.sign1;
    const block = encodeSign1({ protectedBytes, payload: null, signature });
    const digest = suitDigest(attachment);
    return buildEnvelope({ manifest: old.attachment, authenticationBlocks: [block], digest });
  });
  assert.equal(code, 'SUIT_DIGEST_MISMATCH');
});

test('T04: the true signature under a forged manifest and its digest is refused', async () => {
  const code = await refusedWith(({ statement }, old) => {
    const { protectedBytes, signature } = statement.sign1;
    const block = encodeSign1({ protectedBytes, payload: null, signature });
    return buildEnvelope({ manifest: old.attachment, authenticationBlocks: [block] });
  });
  assert.equal(code, 'SUIT_SIGNATURE_INVALID');
});
