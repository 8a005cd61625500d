/** The file of a PSK author's PSK, under a passphrase (T07, docs/spec/author-files.md). */
import { concat, equal, fromHex, hex, utf8 } from '../bytes.ts';
import { decodeMacKey, encodeMacKey } from '../cose/key.ts';
import { check } from '../errors.ts';
import type { Random } from '../random.ts';
import { preSharedKey, PSK_ID_BYTES, type PreSharedKey } from '../registry/psk.ts';
import { createFile, readBounded } from './durable-file.ts';
import { parseJson, textField } from './json-file.ts';
import { openSecret, readSealed, sealSecret, type Cost } from './sealed-file.ts';

export const PSK_FILE = 'psk.key';
const TYPE = 'firmament/psk/v1';
const MAX_FILE = 8192;

/**
 * Writes the PSK to a new file of mode 0600, encrypted under the passphrase. Durable once it returns.
 * Errors: AUTHOR_FILE_EXISTS, AUTHOR_PASSPHRASE_EMPTY.
 */
export async function createPskFile(
  path: string,
  { keyId, key }: PreSharedKey,
  passphrase: string,
  options: { readonly random: Random; readonly cost?: Cost },
): Promise<void> {
  const sealed = await sealSecret(encodeMacKey(key, keyId), passphrase, aad(keyId), options);
  const file = { type: TYPE, keyId: hex(keyId), ...sealed };
  await createFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** The PSK in the file. Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID, AUTHOR_PASSPHRASE_EMPTY, the file system's. */
export async function openPskFile(path: string, passphrase: string): Promise<PreSharedKey> {
  const json = parseJson(await readBounded(path, MAX_FILE), TYPE);
  const { lock, rest: keyId } = readSealed(json, () =>
    fromHex(textField(json, 'keyId'), PSK_ID_BYTES),
  );
  const psk = preSharedKey(decodeMacKey(await openSecret(lock, passphrase, aad(keyId))));
  check(equal(psk.keyId, keyId), 'AUTHOR_FILE_INVALID', 'the file names another PSK than it holds');
  return psk;
}

function aad(keyId: Uint8Array): Uint8Array {
  return concat(utf8(TYPE), keyId);
}
