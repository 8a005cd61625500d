/** Blocks: what an orderer signs or a consortium agrees on, and every node applies (docs/spec/block.md). */
import { hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asText, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import * as label from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { createSign1, decodeSign1, verifySign1 } from '../cose/sign1.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { rawTransaction, type RawTransaction } from './group.ts';
import { nodeIssuer } from './policy.ts';

export type { RawTransaction } from './group.ts';

export interface Block {
  readonly networkId: Uint8Array;
  readonly height: number;
  /** POSIX seconds. */
  readonly time: number;
  /** SHA-256 of the block before as it is served. */
  readonly previous: Uint8Array;
  readonly transactions: readonly RawTransaction[];
  /** Log size and root after this block's epoch leaf. */
  readonly size: number;
  readonly root: Uint8Array;
}

export const MAX_BLOCK = 8 << 20;
export const MAX_TRANSACTIONS = 512;
const TAG = 'firmament/block/v1';
const TYP = 'application/firmament.block+cbor';

/** What a block says, which no orderer signed: under the consortium engine the whole block. */
export function encodeBlock(block: Block): Uint8Array {
  return encode([
    TAG,
    block.networkId,
    block.height,
    block.time,
    block.previous,
    block.transactions.map(({ statement, attachment }) => [statement, attachment]),
    block.size,
    block.root,
  ]);
}

/** Signs a block as the orderer `node` (OPERATOR/NODE) of the network with this C2SP origin. */
export function signBlock(key: PrivateKey, node: string, origin: string, block: Block): Uint8Array {
  const header = new Map<Cbor, Cbor>([
    [label.ALG, -19],
    [label.KID, thumbprint(key.publicKey)],
    [
      label.CWT_CLAIMS,
      new Map<Cbor, Cbor>([
        [label.ISS, nodeIssuer(node)],
        [label.SUB, origin],
      ]),
    ],
    [label.TYP, TYP],
  ]);
  return createSign1({ header, payload: encodeBlock(block), key });
}

/**
 * The block inside the bytes, signed by `key` as the orderer `node`.
 * Errors: BLOCK_MALFORMED, BLOCK_SIGNER.
 */
export function openBlock(bytes: Uint8Array, key: PublicKey, node: string, origin: string): Block {
  try {
    const sign1 = decodeSign1(bytes, { maxBytes: MAX_BLOCK });
    check(
      sign1.unprotected.size === 0,
      'BLOCK_MALFORMED',
      'the unprotected header of a block is empty',
    );
    signedBy(sign1, key, node, origin);
    return parseBlock(sign1.payload ?? fail('BLOCK_MALFORMED'));
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code.startsWith('BLOCK_')) throw cause;
    return fail('BLOCK_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
  }
}

/**
 * The block inside the bytes, whoever signed it: to find out who might have. Errors: BLOCK_MALFORMED.
 */
export function unverifiedBlock(bytes: Uint8Array): Block {
  try {
    return parseBlock(
      decodeSign1(bytes, { maxBytes: MAX_BLOCK }).payload ?? fail('BLOCK_MALFORMED'),
    );
  } catch (cause) {
    return fail('BLOCK_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
  }
}

/** `iss` of a block that was checked when it was taken in. */
export function blockIssuer(bytes: Uint8Array): string {
  const { header } = decodeSign1(bytes, { maxBytes: MAX_BLOCK });
  const claims = asMap(header.get(label.CWT_CLAIMS) ?? null, 'CWT claims');
  return asText(claims.get(label.ISS) ?? null, 'iss', 128);
}

function signedBy(
  sign1: ReturnType<typeof decodeSign1>,
  key: PublicKey,
  node: string,
  origin: string,
): void {
  const claims = asMap(sign1.header.get(label.CWT_CLAIMS) ?? null, 'CWT claims');
  const named =
    sign1.header.get(label.TYP) === TYP &&
    claims.get(label.ISS) === nodeIssuer(node) &&
    claims.get(label.SUB) === origin;
  const kid = asBytes(sign1.header.get(label.KID) ?? null, 'kid', 32);
  check(named && hex(kid) === hex(thumbprint(key)), 'BLOCK_SIGNER');
  try {
    verifySign1(sign1, key);
  } catch (cause) {
    fail('BLOCK_SIGNER', undefined, {}, cause);
  }
}

/** A block of the consortium engine; nothing here says that anybody agreed to it. Errors: BLOCK_MALFORMED. */
export function decodeBlock(bytes: Uint8Array): Block {
  try {
    return parseBlock(bytes);
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code.startsWith('BLOCK_')) throw cause;
    return fail('BLOCK_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
  }
}

function parseBlock(payload: Uint8Array): Block {
  const row = asArray(decode(payload, { maxBytes: MAX_BLOCK }), 'block', 8);
  check(asText(row[0] ?? null, 'tag', 32) === TAG, 'BLOCK_MALFORMED', 'not a block');
  const transactions = asArray(row[5] ?? null, 'transactions');
  check(transactions.length <= MAX_TRANSACTIONS, 'BLOCK_MALFORMED', 'too many transactions');
  return {
    networkId: asBytes(row[1] ?? null, 'network id', 32),
    height: asUint(row[2] ?? null, 'height'),
    time: asUint(row[3] ?? null, 'time'),
    previous: asBytes(row[4] ?? null, 'previous', 32),
    transactions: transactions.map(rawTransaction),
    size: asUint(row[6] ?? null, 'size'),
    root: asBytes(row[7] ?? null, 'root', 32),
  };
}
