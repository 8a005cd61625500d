/** Ciphers fed in pieces, over @noble's whole-message functions, hashes and counters. */
import { poly1305 } from '@noble/ciphers/_poly1305.js';
import { ghash } from '@noble/ciphers/_polyval.js';
import { ctr } from '@noble/ciphers/aes.js';
import { chacha20 } from '@noble/ciphers/chacha.js';
import { equalBytes } from '@noble/ciphers/utils.js';
import { concat } from '../bytes.ts';
import { check } from '../errors.ts';
import { checkCtr, tagged, type Aead, type Stream } from './aead.ts';

const AES_BLOCK = 16;
const CHACHA_BLOCK = 64;

/** AES-128 in counter mode, either way. It authenticates nothing. Errors: CRYPTO_INPUT_INVALID. */
export function createCtr(key: Uint8Array, iv: Uint8Array): Stream {
  checkCtr(key, iv);
  return counted(AES_BLOCK, (block, bytes) => ctr(key, counterAt(iv, block)).encrypt(bytes));
}

/** As createOpener of portable.ts, whose checks have been made. */
export function openingStream(
  algorithm: Aead,
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
): Stream {
  const { stream, authenticator } =
    algorithm === 'ChaCha20-Poly1305' ? chacha(key, nonce, aad) : galois(key, nonce, aad);
  return tagged(
    (chunk) => {
      authenticator.update(chunk);
      return stream.update(chunk);
    },
    (tag) => {
      check(equalBytes(authenticator.tag(), tag), 'CRYPTO_AUTHENTICATION_FAILED');
      return stream.finish();
    },
  );
}

/** What a tag is computed by: of the ciphertext, in pieces. */
interface Authenticator {
  update(chunk: Uint8Array): void;
  tag(): Uint8Array;
}

interface Parts {
  readonly stream: Stream;
  readonly authenticator: Authenticator;
}

/** SP 800-38D 7.2, with a nonce of 96 bits: the counter of the text starts at 2. */
function galois(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array): Parts {
  const block = new Uint8Array(AES_BLOCK);
  const first = concat(nonce, Uint8Array.of(0, 0, 0, 1));
  const hash = ghash.create(ctr(key, block).encrypt(block));
  const mask = ctr(key, first).encrypt(block);
  hash.update(aad);
  let length = 0;
  // GHASH pads each piece that it is given, so it gets whole blocks until the last.
  const blocks = counted(AES_BLOCK, (_, bytes) => {
    hash.update(bytes);
    return bytes;
  });
  return {
    stream: counted(AES_BLOCK, (at, bytes) => ctr(key, counterAt(first, at + 1)).encrypt(bytes)),
    authenticator: {
      update(chunk) {
        length += chunk.length;
        blocks.update(chunk);
      },
      tag() {
        blocks.finish();
        hash.update(lengths(aad.length * 8, length * 8, false));
        const tag = hash.digest();
        return tag.map((byte, i) => byte ^ (mask[i] as number));
      },
    },
  };
}

/** RFC 8439 2.8. */
function chacha(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array): Parts {
  const mac = poly1305.create(chacha20(key, nonce, new Uint8Array(32), undefined, 0));
  const pad = (length: number) => new Uint8Array((16 - (length % 16)) % 16);
  mac.update(aad).update(pad(aad.length));
  let length = 0;
  return {
    stream: counted(CHACHA_BLOCK, (at, bytes) => chacha20(key, nonce, bytes, undefined, at + 1)),
    authenticator: {
      update(chunk) {
        length += chunk.length;
        mac.update(chunk);
      },
      tag: () =>
        mac
          .update(pad(length))
          .update(lengths(aad.length, length, true))
          .digest(),
    },
  };
}

function lengths(aad: number, text: number, littleEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(aad), littleEndian);
  view.setBigUint64(8, BigInt(text), littleEndian);
  return bytes;
}

/** A stream over a function of whole blocks and the number of the first; the last may be short. */
function counted(size: number, step: (block: number, bytes: Uint8Array) => Uint8Array): Stream {
  let held = new Uint8Array(0);
  let block = 0;
  return {
    update(chunk) {
      const whole = concat(held, chunk);
      const cut = whole.length - (whole.length % size);
      held = whole.slice(cut);
      if (cut === 0) return new Uint8Array(0);
      const out = step(block, whole.subarray(0, cut));
      block += cut / size;
      return out;
    },
    finish: () => (held.length === 0 ? held : step(block, held)),
  };
}

/** The 128-bit big-endian counter `iv` plus `blocks`, modulo 2^128. */
function counterAt(iv: Uint8Array, blocks: number): Uint8Array {
  const value = (BigInt(`0x${iv.toHex()}`) + BigInt(blocks)) & ((1n << 128n) - 1n);
  return Uint8Array.fromHex(value.toString(16).padStart(32, '0'));
}
