/** Key files: a private key under a passphrase (docs/spec/author-files.md). */
import { concat, equal, fromHex, hex, utf8 } from '../bytes.ts';
import { decodeKey, decodePrivateKey, encodeKey, encodePrivateKey } from '../cose/key.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check } from '../errors.ts';
import type { Random } from '../random.ts';
import { createFile, readBounded } from './durable-file.ts';
import { parseJson, textField } from './json-file.ts';
import { openSecret, readSealed, sealSecret, type Cost, type Sealed } from './sealed-file.ts';

export interface KeyFile extends Sealed {
  readonly publicKey: PublicKey;
}

const TYPE = 'firmament/key/v1';
const MAX_FILE = 8192;

/**
 * Writes the key to a new file of mode 0600, encrypted under the passphrase. Durable once it returns.
 * Errors: AUTHOR_FILE_EXISTS, AUTHOR_PASSPHRASE_EMPTY.
 */
export async function createKeyFile(
  path: string,
  key: PrivateKey,
  passphrase: string,
  options: { readonly random: Random; readonly cost?: Cost },
): Promise<void> {
  const publicKey = encodeKey(key.publicKey);
  const sealed = await sealSecret(encodePrivateKey(key), passphrase, aad(publicKey), options);
  const file = { type: TYPE, publicKey: hex(publicKey), ...sealed };
  await createFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** A key file without opening it. Errors: AUTHOR_FILE_INVALID, and the file system's own. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const json = parseJson(await readBounded(path, MAX_FILE), TYPE);
  const { lock, rest } = readSealed(json, () => decodeKey(fromHex(textField(json, 'publicKey'))));
  return { ...lock, publicKey: rest };
}

/** The private key in the file. Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID, AUTHOR_PASSPHRASE_EMPTY. */
export async function openKeyFile(path: string, passphrase: string): Promise<PrivateKey> {
  const file = await readKeyFile(path);
  const key = decodePrivateKey(await openSecret(file, passphrase, aad(encodeKey(file.publicKey))));
  const same = equal(encodeKey(key.publicKey), encodeKey(file.publicKey));
  check(same, 'AUTHOR_FILE_INVALID', 'the file names another public key than it holds');
  return key;
}

function aad(publicKey: Uint8Array): Uint8Array {
  return concat(utf8(TYPE), publicKey);
}
