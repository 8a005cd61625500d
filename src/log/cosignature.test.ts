import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { privateKey, sign } from '#crypto';
import { equal, fromBase64, fromHex, hex, text } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import { formatCheckpoint, originOf, parseCheckpoint } from './checkpoint.ts';
import {
  cosignatureMessage,
  cosignatureOf,
  formatCosignatureLine,
  keyId,
  parseCosignatureLine,
  signCosignature,
  verifyCosignature,
} from './cosignature.ts';
import { parseNote } from './note.ts';

const vector = (name: string) =>
  readFileSync(new URL(`../../test/vectors/log/${name}`, import.meta.url), 'utf8');

/** `NAME+KEYID+base64(type || key)` of type 0x04. */
function verifierKey(line: string): { name: string; id: string; key: PublicKey } {
  const [, name, id, typed] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(line) ?? [];
  assert.ok(name !== undefined && id !== undefined && typed !== undefined);
  const bytes = fromBase64(typed);
  assert.equal(bytes[0], 4);
  return { name, id, key: { curve: 'Ed25519', bytes: bytes.slice(1) } };
}

test('cosignatures of four public witnesses verify', () => {
  const note = parseNote(vector('cosigned-checkpoint.txt'));
  assert.equal(parseCheckpoint(note.text).size, 1_432_088_532);
  for (const line of vector('witnesses.txt').trim().split('\n')) {
    const { name, id, key } = verifierKey(line);
    assert.equal(hex(keyId(name, key)), id);
    const signature = note.signatures.find((one) => equal(one.keyId, fromHex(id)));
    assert.ok(signature !== undefined);
    const cosignature = cosignatureOf(signature);
    assert.equal(cosignature.time, 1_779_573_024);
    verifyCosignature(key, name, note.text, cosignature);
    const other = note.text.replace('1432088532', '1432088533');
    assert.throws(() => verifyCosignature(key, name, other, cosignature), {
      code: 'LOG_COSIGNATURE_INVALID',
    });
    assert.ok(vector('cosigned-checkpoint.txt').includes(formatCosignatureLine(name, cosignature)));
  }
});

const key = privateKey('Ed25519', new Uint8Array(32).fill(7));
const origin = originOf(new Uint8Array(32).fill(1));
const checkpoint = formatCheckpoint({ origin, size: 5, root: new Uint8Array(32).fill(2) });
const name = 'archive/one';
const time = 1_790_000_000;
const cosignature = signCosignature(key, name, checkpoint, time);
const invalid = { code: 'LOG_COSIGNATURE_INVALID' };

test('signed, written as a line, read and verified', () => {
  assert.equal(
    text(cosignatureMessage(checkpoint, time)),
    `cosignature/v1\ntime 1790000000\n${checkpoint}`,
  );
  verifyCosignature(key.publicKey, name, checkpoint, cosignature);
  verifyCosignature(key.publicKey, undefined, checkpoint, cosignature);
  const line = formatCosignatureLine(name, cosignature);
  assert.deepEqual(parseCosignatureLine(line), { name, cosignature });
});

test('a cosignature holds for its key, name, head and time only', () => {
  const other = privateKey('Ed25519', new Uint8Array(32).fill(8));
  const head = checkpoint.replace('\n5\n', '\n6\n');
  const wrong: readonly [PublicKey, string, string, typeof cosignature][] = [
    [other.publicKey, name, checkpoint, cosignature],
    [key.publicKey, 'archive/two', checkpoint, cosignature],
    [key.publicKey, name, head, cosignature],
    [key.publicKey, name, checkpoint, { ...cosignature, time: time + 1 }],
    [key.publicKey, name, checkpoint, { ...cosignature, keyId: new Uint8Array(4) }],
    [key.publicKey, name, checkpoint, { ...cosignature, signature: new Uint8Array(64) }],
    [key.publicKey, name, checkpoint, { ...cosignature, signature: new Uint8Array(3) }],
    [{ curve: 'P-256', bytes: new Uint8Array(64) }, name, checkpoint, cosignature],
  ];
  for (const one of wrong) assert.throws(() => verifyCosignature(...one), invalid);
});

test('a key of another curve signs no cosignatures', () => {
  const ecdsa = privateKey('P-256', new Uint8Array(32).fill(9));
  assert.throws(() => signCosignature(ecdsa, name, checkpoint, time), {
    code: 'LOG_COSIGNATURE_MALFORMED',
  });
  const signature = sign(ecdsa, cosignatureMessage(checkpoint, time));
  const signed = { keyId: keyId(name, ecdsa.publicKey), time, signature };
  assert.throws(() => verifyCosignature(ecdsa.publicKey, name, checkpoint, signed), invalid);
});

test('a cosignature has a time', () => {
  for (const bad of [0, -1, 1.5, 2 ** 53, Number.NaN]) {
    assert.throws(() => signCosignature(key, name, checkpoint, bad), {
      code: 'LOG_COSIGNATURE_MALFORMED',
    });
    assert.throws(
      () => verifyCosignature(key.publicKey, name, checkpoint, { ...cosignature, time: bad }),
      invalid,
    );
    assert.throws(() => formatCosignatureLine(name, { ...cosignature, time: bad }), {
      code: 'LOG_COSIGNATURE_MALFORMED',
    });
  }
  const timeless = { name, keyId: cosignature.keyId, signature: new Uint8Array(72) };
  assert.throws(() => cosignatureOf(timeless), { code: 'LOG_COSIGNATURE_MALFORMED' });
  const far = { ...timeless, signature: new Uint8Array(72).fill(255) };
  assert.throws(() => cosignatureOf(far), { code: 'LOG_COSIGNATURE_MALFORMED' });
  for (const length of [8 + 63, 8 + 65]) {
    const odd = { ...timeless, signature: new Uint8Array(length).fill(1, 5) };
    assert.throws(() => cosignatureOf(odd), { code: 'LOG_COSIGNATURE_MALFORMED' });
  }
});

test('time 0 is refused even when it is signed', () => {
  // The signature itself is good: only the rule about the time stands against it.
  const message = cosignatureMessage(checkpoint, 0);
  const signed = { ...cosignature, time: 0, signature: sign(key, message) };
  assert.throws(() => verifyCosignature(key.publicKey, name, checkpoint, signed), invalid);
});
