/** A release key that another program holds: a smart card, an HSM, a signing service (docs/operations.md). */
import { createPublicKey } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { verify } from '#crypto';
import { concat } from '../bytes.ts';
import { decodeKey } from '../cose/key.ts';
import { lowS } from '../crypto/p256.ts';
import { checkPublicKey, type OutsideKey, type PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { readBounded } from './durable-file.ts';

const MAX_KEY_FILE = 8192;
const MAX_ANSWER = 4096;
const TIMEOUT_MS = 60_000;

/**
 * A key for which `command` signs: it is run by the shell, is given the bytes to sign on standard input (a COSE
 * Sig_structure, RFC 9052 section 4.4, not hashed) and answers the 64 bytes of the signature on standard output:
 * ECDSA with SHA-256 as r || s, or Ed25519. What it answers is verified before anybody sees it.
 * Signing errors: AUTHOR_SIGNER_FAILED.
 */
export function outsideKey(
  command: string,
  publicKey: PublicKey,
  options: { readonly timeoutMs?: number } = {},
): OutsideKey {
  const { timeoutMs = TIMEOUT_MS } = options;
  return {
    curve: publicKey.curve,
    publicKey,
    sign(message) {
      const { status, signal, error, stdout } = spawnSync(command, {
        shell: true,
        input: message,
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_ANSWER,
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      if (status !== 0) {
        const how = error?.message ?? `it ended with ${signal ?? `status ${status}`}`;
        fail('AUTHOR_SIGNER_FAILED', `the outside signer failed: ${how}`, {}, error);
      }
      return checked(publicKey, message, new Uint8Array(stdout));
    },
  };
}

function checked(publicKey: PublicKey, message: Uint8Array, answer: Uint8Array): Uint8Array {
  const bytes = { bytes: answer.length };
  check(answer.length === 64, 'AUTHOR_SIGNER_FAILED', 'a signature has 64 bytes', bytes);
  const good = verify(publicKey, message, answer);
  check(good, 'AUTHOR_SIGNER_FAILED', 'the signature is not by the key that was named');
  // T05: the registry takes the low s only, and hardware gives either.
  return publicKey.curve === 'P-256' ? lowS(answer) : answer;
}

/** A public key in a file: a COSE_Key, or a SubjectPublicKeyInfo in DER or PEM. Errors: AUTHOR_FILE_INVALID. */
export async function readPublicKey(path: string): Promise<PublicKey> {
  const bytes = await readBounded(path, MAX_KEY_FILE);
  try {
    return decodeKey(bytes);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return fromSpki(bytes, path);
  }
}

function fromSpki(bytes: Uint8Array, path: string): PublicKey {
  try {
    const pem = bytes[0] === 0x2d;
    const key = createPublicKey(
      pem
        ? { key: new TextDecoder().decode(bytes), format: 'pem' }
        : { key: bytes as never, format: 'der', type: 'spki' },
    );
    const { crv, x, y } = key.export({ format: 'jwk' });
    const publicKey = fromJwk(crv, x, y);
    checkPublicKey(publicKey);
    return publicKey;
  } catch (cause) {
    return fail('AUTHOR_FILE_INVALID', `${path} holds no public key that is accepted`, {}, cause);
  }
}

function fromJwk(crv: unknown, x: unknown, y: unknown): PublicKey {
  const bytes = (text: unknown): Uint8Array =>
    typeof text === 'string'
      ? Uint8Array.fromBase64(text, { alphabet: 'base64url' })
      : fail('CRYPTO_KEY_INVALID');
  if (crv === 'P-256') return { curve: crv, bytes: concat(bytes(x), bytes(y)) };
  if (crv === 'Ed25519') return { curve: crv, bytes: bytes(x) };
  return fail('CRYPTO_KEY_INVALID');
}
