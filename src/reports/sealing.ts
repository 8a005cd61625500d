/** Sealing of batches by HPKE (RFC 9180), base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM. */
import { Aes128Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';
import { checkPublicKey } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';

/** Both sides of every batch. */
export const SUITE = new CipherSuite({
  kem: new DhkemP256HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes128Gcm(),
});
const ENCAPSULATED = 65;
const TAG = 16;

/** Whom a batch is sealed for can open it as the batch of this root on this network only. */
export interface SealedFor {
  readonly networkId: Uint8Array;
  readonly root: Uint8Array;
}

/** Encapsulated key ‖ ciphertext. `key`: P-256. Errors: CRYPTO_KEY_INVALID. */
export async function sealBatch(
  key: PublicKey,
  about: SealedFor,
  plain: Uint8Array,
): Promise<Uint8Array> {
  check(key.curve === 'P-256', 'CRYPTO_KEY_INVALID', 'batches are sealed to P-256 keys');
  checkPublicKey(key);
  const point = exact(concat(Uint8Array.of(4), key.bytes));
  const recipientPublicKey = await SUITE.kem.importKey('raw', point, true);
  const sender = { recipientPublicKey, info: infoOf(about) };
  const { enc, ct } = await SUITE.seal(sender, exact(plain));
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

/** Errors: BATCH_SEALED: for another key, another root or network, or changed. */
export async function openSealedBatch(
  key: PrivateKey,
  about: SealedFor,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  check(key.curve === 'P-256', 'CRYPTO_KEY_INVALID', 'batches are sealed to P-256 keys');
  check(sealed.length > ENCAPSULATED + TAG, 'BATCH_SEALED', 'too short');
  try {
    const recipientKey = await SUITE.kem.importKey('raw', exact(key.secret), false);
    const enc = exact(sealed.subarray(0, ENCAPSULATED));
    const recipient = { recipientKey, enc, info: infoOf(about) };
    return new Uint8Array(await SUITE.open(recipient, exact(sealed.subarray(ENCAPSULATED))));
  } catch (cause) {
    return fail('BATCH_SEALED', undefined, {}, cause);
  }
}

function infoOf({ networkId, root }: SealedFor): ArrayBuffer {
  return exact(concat(utf8('firmament/reports/v1'), networkId, root));
}

/** A buffer of just these bytes. */
function exact(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
