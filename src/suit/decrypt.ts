/** Decrypting a text on its way into a component (firmware-encryption 5 and 7). */
import { concat } from '../bytes.ts';
import { authenticates, CIPHERS, contentOpener } from '../cose/cipher.ts';
import type { ContentCipher } from '../cose/cipher.ts';
import { unwrapContentKey } from '../cose/recipient.ts';
import type { DecryptionKey } from '../cose/recipient.ts';
import type { Stream } from '../crypto/aead.ts';
import { check, codeOf, fail } from '../errors.ts';
import { readEncryptionInfo } from './parameters.ts';

export interface Decryption {
  readonly cipher: ContentCipher;
  /** The cipher's tag proves the text; without one a digest has to. */
  readonly authenticates: boolean;
  readonly stream: Stream;
}

/** Errors: SUIT_ENCRYPTION_INFO_INVALID, SUIT_CAPABILITY_MISSING (no keys), SUIT_DECRYPTION_FAILED. */
export function beginDecryption(info: Uint8Array, keys: readonly DecryptionKey[]): Decryption {
  check(keys.length > 0, 'SUIT_CAPABILITY_MISSING', 'the device has no key to decrypt with');
  const message = readEncryptionInfo(info);
  const { cipher } = message;
  const key = failing(() => unwrapContentKey(message.recipients, keys, CIPHERS[cipher].key));
  return { cipher, authenticates: authenticates(cipher), stream: contentOpener(message, key) };
}

/** A text that is at hand. Errors: SUIT_DECRYPTION_FAILED. */
export function decryptWhole({ stream }: Decryption, text: Uint8Array): Uint8Array {
  return failing(() => concat(stream.update(text), stream.finish()));
}

/**
 * A text in pieces; for an AEAD the end of the pieces, and nothing before, says that it is authentic.
 * Errors: SUIT_DECRYPTION_FAILED, SUIT_TOO_LARGE.
 */
export async function* decryptPieces(
  { cipher, stream }: Decryption,
  pieces: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let length = 0;
  for await (const piece of pieces) {
    length += piece.length;
    check(
      length <= maxBytes + CIPHERS[cipher].tag,
      'SUIT_TOO_LARGE',
      'an encrypted payload larger than the image that the manifest names',
    );
    const plain = failing(() => stream.update(piece));
    if (plain.length > 0) yield plain;
  }
  const rest = failing(() => stream.finish());
  if (rest.length > 0) yield rest;
}

function failing<T>(step: () => T): T {
  try {
    return step();
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== 'CRYPTO_AUTHENTICATION_FAILED' && code !== 'COSE_KEY_NOT_RECIPIENT') throw cause;
    const why = cause instanceof Error ? cause.message : undefined;
    return fail('SUIT_DECRYPTION_FAILED', why, {}, cause);
  }
}
