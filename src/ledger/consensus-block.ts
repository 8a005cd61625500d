/**
 * Blocks of the consortium engine as they are handed on: the block, which nobody signed, with the certificate that
 * proves it (docs/spec/block.md, "Consortium blocks"). The block's hash does not cover the certificate: nodes may hold
 * different ones of one block.
 */
import { concat } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encodeBytesHeader } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { codeOf, fail } from '../errors.ts';
import { MAX_CERTIFICATE } from '../light/certificate.ts';
import { MAX_BLOCK } from '../registry/block.ts';

export interface ServedBlock {
  readonly block: Uint8Array;
  readonly certificate: Uint8Array;
}

// First CBOR bytes: arrays of two and of eight. A block of the local engine begins with COSE_Sign1's tag.
const SERVED = 0x82;
const BARE = 0x88;
/** Bytes of the longest block with its certificate. */
export const MAX_SERVED = MAX_BLOCK + MAX_CERTIFICATE + 16;

/** Whether these are a block's bytes that no orderer signed. */
export function isBare(bytes: Uint8Array): boolean {
  return bytes[0] === BARE;
}

export function isServed(bytes: Uint8Array): boolean {
  return bytes[0] === SERVED;
}

export function encodeServed({ block, certificate }: ServedBlock): Uint8Array {
  return concat(
    Uint8Array.of(SERVED),
    encodeBytesHeader(block.length),
    block,
    encodeBytesHeader(certificate.length),
    certificate,
  );
}

/** Errors: BLOCK_MALFORMED. */
export function decodeServed(bytes: Uint8Array): ServedBlock {
  try {
    const [block = null, certificate = null] = asArray(
      decode(bytes, { maxBytes: MAX_SERVED }),
      'a block with its certificate',
      2,
    );
    return {
      block: asBytes(block, 'block', { max: MAX_BLOCK }),
      certificate: asBytes(certificate, 'certificate', { max: MAX_CERTIFICATE }),
    };
  } catch (cause) {
    if (codeOf(cause) === undefined) throw cause;
    return fail('BLOCK_MALFORMED', (cause as Error).message, {}, cause);
  }
}

/** The bytes that a block's hash covers, of either engine. Errors: BLOCK_MALFORMED. */
export function hashedBytes(served: Uint8Array): Uint8Array {
  return isServed(served) ? decodeServed(served).block : served;
}
