/** COSE_Keys (RFC 9052 section 7, RFC 9053) and their thumbprints (RFC 9679). */
import { checkPublicKey, privateKey, sha256 } from '#crypto';
import { concat, equal } from '../bytes.ts';
import { decode, type Cbor } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asBytes, asMap, onlyKeys } from '../cbor/read.ts';
import type { Curve, PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { A128KW, curveOf, ECDH_ES_A128KW, HMAC_256 } from './algorithm.ts';

const KTY = 1;
const KID = 2;
const ALG = 3;
const KEY_OPS = 4;
const CRV = -1;
const X = -2;
const Y = -3;
const D = -4;
/** The secret of a symmetric key has the label that a curve has elsewhere. */
const K = -1;
const [OKP, EC2, SYMMETRIC] = [1, 2, 4];
const [CRV_P256, CRV_ED25519] = [1, 6];

const MAX_KEY_BYTES = 1024;

function parameters(key: PublicKey): [Cbor, Cbor][] {
  return key.curve === 'P-256'
    ? [
        [KTY, EC2],
        [CRV, CRV_P256],
        [X, key.bytes.subarray(0, 32)],
        [Y, key.bytes.subarray(32)],
      ]
    : [
        [KTY, OKP],
        [CRV, CRV_ED25519],
        [X, key.bytes],
      ];
}

/** The one encoding of a public key on the ledger: its public parameters and nothing else. */
export function encodeKey(key: PublicKey): Uint8Array {
  return encode(new Map(parameters(key)));
}

/** The key's COSE thumbprint (RFC 9679 section 3, SHA-256), 32 bytes. */
export function thumbprint(key: PublicKey): Uint8Array {
  let name = thumbprints.get(key);
  if (name === undefined) {
    name = sha256(encodeKey(key));
    thumbprints.set(key, name);
  }
  return name;
}

const thumbprints = new WeakMap<PublicKey, Uint8Array>();

/** The key whose `encodeKey` the bytes are. Errors: COSE_KEY_INVALID, CRYPTO_KEY_INVALID. */
export function decodeKey(bytes: Uint8Array): PublicKey {
  const map = keyMap(bytes, true, [KTY, CRV, X, Y]);
  return publicKeyOf(map);
}

/**
 * The public key in a COSE_Key that others made: kid, alg, key_ops and a private part may stand
 * beside it (and are not kept), in any order.
 * Errors: COSE_KEY_INVALID, COSE_ALGORITHM_UNSUPPORTED, CRYPTO_KEY_INVALID.
 */
export function decodeForeignKey(bytes: Uint8Array): PublicKey {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, CRV, X, Y, D]);
  return publicKeyOf(map);
}

/** A COSE_Key with its private part (label -4): a secret. */
export function encodePrivateKey(key: PrivateKey): Uint8Array {
  return encode(new Map<Cbor, Cbor>([...parameters(key.publicKey), [D, key.secret]]));
}

/**
 * A private COSE_Key, ours or another's. Errors: COSE_KEY_INVALID (also when the public part is
 * not the private part's), CRYPTO_KEY_INVALID.
 */
export function decodePrivateKey(bytes: Uint8Array): PrivateKey {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, CRV, X, Y, D]);
  return privateKeyOf(map, publicKeyOf(map));
}

/** A symmetric COSE_Key for HMAC-SHA-256 with its key id: a secret. */
export function encodeMacKey(secret: Uint8Array, keyId: Uint8Array): Uint8Array {
  return encode(
    new Map<Cbor, Cbor>([
      [KTY, SYMMETRIC],
      [KID, keyId],
      [ALG, HMAC_256],
      [K, secret],
    ]),
  );
}

/** The secret of a symmetric COSE_Key for HMAC-SHA-256. Errors: COSE_KEY_INVALID. */
export function decodeMacKey(bytes: Uint8Array): Uint8Array {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, K]);
  check(map.get(KTY) === SYMMETRIC, 'COSE_KEY_INVALID', 'not a symmetric key');
  const algorithm = map.get(ALG);
  const fits = algorithm === undefined || algorithm === HMAC_256;
  check(fits, 'COSE_KEY_INVALID', 'a key of another algorithm than HMAC-SHA-256');
  return keyBytes(map, K, { max: 64 });
}

/** The secret of a symmetric COSE_Key for A128KW. Errors: COSE_KEY_INVALID. */
export function decodeWrapKey(bytes: Uint8Array): Uint8Array {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, K]);
  check(map.get(KTY) === SYMMETRIC, 'COSE_KEY_INVALID', 'not a symmetric key');
  const algorithm = map.get(ALG);
  const fits = algorithm === undefined || algorithm === A128KW;
  check(fits, 'COSE_KEY_INVALID', 'a key of another algorithm than A128KW');
  return keyBytes(map, K, 16);
}

/** A P-256 key for ECDH-ES+A128KW: `decodeForeignKey` of a key for signatures. Errors: its. */
export function decodeAgreementKey(bytes: Uint8Array): PublicKey {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, CRV, X, Y, D]);
  return agreementKeyOf(map);
}

/** Its private part too. Errors: COSE_KEY_INVALID, CRYPTO_KEY_INVALID. */
export function decodePrivateAgreementKey(bytes: Uint8Array): PrivateKey {
  const map = keyMap(bytes, false, [KTY, KID, ALG, KEY_OPS, CRV, X, Y, D]);
  return privateKeyOf(map, agreementKeyOf(map));
}

/** The ephemeral key of a recipient (RFC 9053 6.3.1), a COSE_Key in a header. Errors: COSE_KEY_INVALID, CRYPTO_KEY_INVALID. */
export function readEphemeralKey(value: Cbor | undefined): PublicKey {
  const map = asKey(() => {
    const key = asMap(value, 'ephemeral key');
    onlyKeys(key, [KTY, CRV, X, Y], 'ephemeral key');
    return key;
  });
  return agreementKeyOf(map);
}

/** The same as a map, for a header. */
export function ephemeralKeyToCbor(key: PublicKey): ReadonlyMap<Cbor, Cbor> {
  return new Map(parameters(key));
}

function agreementKeyOf(map: ReadonlyMap<Cbor, Cbor>): PublicKey {
  const algorithm = map.get(ALG);
  const fits = algorithm === undefined || algorithm === ECDH_ES_A128KW;
  check(fits, 'COSE_KEY_INVALID', 'a key of another algorithm than ECDH-ES+A128KW');
  const key = publicKeyOf(new Map([...map].filter(([label]) => label !== ALG)));
  check(key.curve === 'P-256', 'COSE_KEY_INVALID', 'ECDH-ES+A128KW is done with P-256 keys');
  return key;
}

function privateKeyOf(map: ReadonlyMap<Cbor, Cbor>, stated: PublicKey): PrivateKey {
  const key = privateKey(stated.curve, keyBytes(map, D, 32));
  const same = equal(key.publicKey.bytes, stated.bytes);
  check(same, 'COSE_KEY_INVALID', 'the public part is not that of the private part');
  return key;
}

function publicKeyOf(map: ReadonlyMap<Cbor, Cbor>): PublicKey {
  const curve = curveIn(map);
  const x = keyBytes(map, X, 32);
  const ed25519 = curve === 'Ed25519';
  check(!(ed25519 && map.has(Y)), 'COSE_KEY_INVALID', 'an Ed25519 key with a y coordinate');
  const algorithm = map.get(ALG);
  if (algorithm !== undefined) {
    const fits = typeof algorithm === 'number' && curveOf(algorithm) === curve;
    check(fits, 'COSE_KEY_INVALID', 'the alg of the COSE_Key does not fit its curve');
  }
  // A y of true or false (a compressed point) has no place here: one key, one encoding.
  const key = { curve, bytes: ed25519 ? x.slice() : concat(x, keyBytes(map, Y, 32)) };
  checkPublicKey(key);
  return key;
}

function curveIn(map: ReadonlyMap<Cbor, Cbor>): Curve {
  const [kty, crv] = [map.get(KTY), map.get(CRV)];
  if (kty === EC2 && crv === CRV_P256) return 'P-256';
  if (kty === OKP && crv === CRV_ED25519) return 'Ed25519';
  return fail('COSE_KEY_INVALID', 'neither a P-256 nor an Ed25519 key');
}

function keyMap(
  bytes: Uint8Array,
  sorted: boolean,
  allowed: readonly number[],
): ReadonlyMap<Cbor, Cbor> {
  return asKey(() => {
    const map = asMap(decode(bytes, { maxBytes: MAX_KEY_BYTES, sorted }), 'COSE_Key');
    onlyKeys(map, allowed, 'COSE_Key');
    return map;
  });
}

function keyBytes(
  map: ReadonlyMap<Cbor, Cbor>,
  label: number,
  length: number | { readonly max: number },
): Uint8Array {
  return asKey(() => asBytes(map.get(label), `label ${label} of a COSE_Key`, length));
}

function asKey<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : undefined;
    return fail('COSE_KEY_INVALID', message, {}, cause);
  }
}
