/** Key files of the suit commands: COSE_Keys, of whatever kind a command can use. */
import { createReadStream } from 'node:fs';
import { concat } from '../bytes.ts';
import {
  decodeAgreementKey,
  decodeForeignKey,
  decodeMacKey,
  decodePrivateAgreementKey,
  decodePrivateKey,
  decodeWrapKey,
} from '../cose/key.ts';
import type { DecryptionKey } from '../cose/recipient.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { codeOf } from '../errors.ts';
import type { Trust } from '../suit/authenticate.ts';

const MAX_KEY_FILE_BYTES = 4096;

/** A file, read no further than one byte beyond `max`: what is longer is refused by its reader. */
export async function readUpTo(path: string, max: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of createReadStream(path, { end: max })) chunks.push(chunk as Uint8Array);
  return concat(...chunks);
}

/** Public keys, and secrets for MACs. Errors: COSE_*, CRYPTO_KEY_INVALID, the file system's. */
export async function readTrust(files: readonly string[]): Promise<Required<Trust>> {
  const keys: PublicKey[] = [];
  const macKeys: Uint8Array[] = [];
  for (const file of files) {
    const bytes = await readKey(file);
    const key = either(
      () => decodeForeignKey(bytes),
      () => decodeMacKey(bytes),
    );
    if (key instanceof Uint8Array) macKeys.push(key);
    else keys.push(key);
  }
  return { keys, macKeys };
}

/** A private key for signatures, or a secret for MACs. Errors: as readTrust. */
export async function readSigner(file: string): Promise<PrivateKey | Uint8Array> {
  const bytes = await readKey(file);
  return either(
    () => decodePrivateKey(bytes),
    () => decodeMacKey(bytes),
  );
}

/** A key that opens encrypted payloads: a shared one, or a private P-256 one. Errors: as readTrust. */
export async function readDecryptionKey(file: string): Promise<DecryptionKey> {
  const bytes = await readKey(file);
  return either(
    (): DecryptionKey => ({ kind: 'wrap', key: decodeWrapKey(bytes) }),
    (): DecryptionKey => ({ kind: 'agreement', key: decodePrivateAgreementKey(bytes) }),
  );
}

/** A key that payloads are encrypted for: a shared one, or a public P-256 one. Errors: as readTrust. */
export async function readRecipientKey(file: string): Promise<PublicKey | Uint8Array> {
  const bytes = await readKey(file);
  return either(
    () => decodeWrapKey(bytes),
    () => decodeAgreementKey(bytes),
  );
}

function readKey(file: string): Promise<Uint8Array> {
  return readUpTo(file, MAX_KEY_FILE_BYTES);
}

/** The first that reads the key; of two refusals the second, as the first is of the wrong kind. */
function either<A, B>(first: () => A, second: () => B): A | B {
  try {
    return first();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    try {
      return second();
    } catch (other) {
      // A key of the first kind with something wrong in it says so itself.
      throw codeOf(error) === 'CRYPTO_KEY_INVALID' ? error : other;
    }
  }
}
