/** Receipts of inclusion: RFC 9942 with vds 1, RFC9162_SHA256 (T13, docs/spec/log.md). */
import { equal } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asText, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { EDDSA } from '../cose/algorithm.ts';
import { ALG, CWT_CLAIMS, ISS, KID, SUB, VDP, VDS } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { createSign1, decodeSign1, verifySign1, type Sign1 } from '../cose/sign1.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail, FirmamentError } from '../errors.ts';
import { HASH_LENGTH, rootFromInclusion } from './merkle.ts';

export interface Receipt {
  /**
   * Size and index as the issuer wrote them. The signature covers the root only: other sizes and
   * indexes can lead to the same root, so these are hints until the head (size, root) is known
   * from cosignatures.
   */
  readonly size: number;
  readonly index: number;
  readonly root: Uint8Array;
  /** The log's origin. */
  readonly issuer: string;
  /** The statement's subject. */
  readonly subject: string;
}

const RFC9162_SHA256 = 1;
const INCLUSION = -1;
const MAX_RECEIPT = 8 << 10;
const MAX_TEXT = 1024;

/** A receipt (tag 18) over a root whose head the caller has cosigned. `key`: Ed25519. */
export function createReceipt(input: {
  readonly key: PrivateKey;
  readonly origin: string;
  readonly subject: string;
  readonly size: number;
  readonly index: number;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}): Uint8Array {
  const { key, origin, subject, size, index, path, root } = input;
  const header = new Map<Cbor, Cbor>([
    // Today's SCITT tools know -8 and not -19.
    [ALG, EDDSA],
    [KID, thumbprint(key.publicKey)],
    [
      CWT_CLAIMS,
      new Map<Cbor, Cbor>([
        [ISS, origin],
        [SUB, subject],
      ]),
    ],
    [VDS, RFC9162_SHA256],
  ]);
  const proof = encode([size, index, [...path]]);
  const unprotected = new Map<Cbor, Cbor>([[VDP, new Map<Cbor, Cbor>([[INCLUSION, [proof]]])]]);
  return createSign1({ header, payload: root, key, detached: true, unprotected });
}

/**
 * Checks that the key signed a root that the leaf is under. Whether that root is one of the log's
 * is not said by a receipt alone.
 * Errors: LOG_RECEIPT_MALFORMED; LOG_RECEIPT_INVALID when the key did not sign it for this leaf.
 */
export function verifyReceipt(
  bytes: Uint8Array,
  expected: { readonly key: PublicKey; readonly leafHash: Uint8Array },
): Receipt {
  const { key, leafHash } = expected;
  const { message, issuer, subject, kid, size, index, path } = parse(bytes);
  check(equal(kid, thumbprint(key)), 'LOG_RECEIPT_INVALID', 'signed with another key');
  const root = rootOf({ leafHash, size, index, path });
  try {
    verifySign1(message, key, root);
  } catch (cause) {
    const refused = ['COSE_SIGNATURE_INVALID', 'COSE_ALGORITHM_UNSUPPORTED'];
    if (!refused.includes(codeOf(cause) ?? '')) throw cause;
    fail('LOG_RECEIPT_INVALID', undefined, {}, cause);
  }
  return { size, index, root, issuer, subject };
}

function rootOf(proof: Parameters<typeof rootFromInclusion>[0]): Uint8Array {
  try {
    return rootFromInclusion(proof);
  } catch (cause) {
    if (codeOf(cause) !== 'LOG_PROOF_MALFORMED') throw cause;
    return fail('LOG_RECEIPT_MALFORMED', 'size, index and path do not fit', {}, cause);
  }
}

interface Parsed {
  readonly message: Sign1;
  readonly kid: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  readonly size: number;
  readonly index: number;
  readonly path: readonly Uint8Array[];
}

function parse(bytes: Uint8Array): Parsed {
  try {
    // Others put 395 before 15: any order of the protected map, but no duplicates; no label in both
    // headers, and nothing critical, as decodeSign1 sees to.
    const message = decodeSign1(bytes, { maxBytes: MAX_RECEIPT, sorted: false });
    check(message.payload === null, 'LOG_RECEIPT_MALFORMED', 'the payload is attached');
    const vds = message.header.get(VDS);
    check(vds === RFC9162_SHA256, 'LOG_RECEIPT_MALFORMED', 'not signed as vds 1');
    const claims = asMap(message.header.get(CWT_CLAIMS), 'CWT claims');
    return {
      message,
      kid: asBytes(message.header.get(KID), 'kid', { max: HASH_LENGTH }),
      issuer: asText(claims.get(ISS), 'iss', MAX_TEXT),
      subject: asText(claims.get(SUB), 'sub', MAX_TEXT),
      ...parseProof(message.unprotected),
    };
  } catch (cause) {
    if (!(cause instanceof FirmamentError) || cause.code === 'LOG_RECEIPT_MALFORMED') throw cause;
    return fail('LOG_RECEIPT_MALFORMED', cause.message, {}, cause);
  }
}

function parseProof(unprotected: ReadonlyMap<Cbor, Cbor>): Pick<Parsed, 'size' | 'index' | 'path'> {
  onlyKeys(unprotected, [VDP], 'the unprotected header of a receipt');
  const proofs = asMap(unprotected.get(VDP), 'vdp');
  onlyKeys(proofs, [INCLUSION], 'vdp');
  const [only] = asArray(proofs.get(INCLUSION), 'inclusion proofs', 1);
  const inner = asBytes(only, 'inclusion proof', { max: MAX_RECEIPT });
  const row = asArray(decode(inner, { maxBytes: MAX_RECEIPT }), 'inclusion proof', 3);
  const path = asArray(row[2], 'inclusion path');
  return {
    size: asUint(row[0], 'tree size'),
    index: asUint(row[1], 'leaf index'),
    path: path.map((hash) => asBytes(hash, 'path hash', HASH_LENGTH)),
  };
}
