/** Key files: a private key under a passphrase (docs/spec/author-files.md). */
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { ScryptOptions } from 'node:crypto';
import { open, seal } from '#crypto';
import { concat, equal, fromHex, hex, utf8 } from '../bytes.ts';
import { decodeKey, decodePrivateKey, encodeKey, encodePrivateKey } from '../cose/key.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Random } from '../random.ts';
import { createFile, readBounded } from './durable-file.ts';
import { isObject, numberField, parseJson, textField } from './json-file.ts';

/** scrypt's cost: N, r and p of RFC 7914. */
export interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface KeyFile {
  readonly publicKey: PublicKey;
  readonly cost: Cost;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/** 128 MiB of memory and about half a second for a guess. */
export const COST: Cost = { N: 2 ** 17, r: 8, p: 1 };

const TYPE = 'firmament/key/v1';
const MAX_FILE = 8192;
const MAX_MEMORY = 512 * 1024 * 1024;
const derive = promisify<string, Uint8Array, number, ScryptOptions, Uint8Array>(scrypt);

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
  const { random, cost = COST } = options;
  const salt = random(32);
  const nonce = random(12);
  const publicKey = encodeKey(key.publicKey);
  const secret = await secretOf(passphrase, salt, cost);
  const sealed = seal('ChaCha20-Poly1305', secret, nonce, aad(publicKey), encodePrivateKey(key));
  const file = {
    type: TYPE,
    publicKey: hex(publicKey),
    kdf: { name: 'scrypt', ...cost, salt: hex(salt) },
    cipher: { name: 'ChaCha20-Poly1305', nonce: hex(nonce) },
    sealed: hex(sealed),
  };
  await createFile(path, `${JSON.stringify(file, null, 2)}\n`);
}

/** A key file without opening it. Errors: AUTHOR_FILE_INVALID, and the file system's own. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const json = parseJson(await readBounded(path, MAX_FILE), TYPE);
  try {
    const { kdf, cipher } = json;
    if (!isObject(kdf) || kdf['name'] !== 'scrypt') fail('AUTHOR_FILE_INVALID', 'unknown kdf');
    if (!isObject(cipher) || cipher['name'] !== 'ChaCha20-Poly1305')
      fail('AUTHOR_FILE_INVALID', 'unknown cipher');
    return {
      publicKey: decodeKey(fromHex(textField(json, 'publicKey'))),
      cost: parseCost(kdf),
      salt: fromHex(textField(kdf, 'salt'), 32),
      nonce: fromHex(textField(cipher, 'nonce'), 12),
      sealed: fromHex(textField(json, 'sealed')),
    };
  } catch (cause) {
    if (codeOf(cause) === 'AUTHOR_FILE_INVALID') throw cause;
    return fail('AUTHOR_FILE_INVALID', 'not a key file', {}, cause);
  }
}

// Whoever can change the file must not be able to have us spend memory without end.
function parseCost(kdf: Readonly<Record<string, unknown>>): Cost {
  const cost = {
    N: numberField(kdf, 'N', 2, 2 ** 20),
    r: numberField(kdf, 'r', 1, 32),
    p: numberField(kdf, 'p', 1, 16),
  };
  check(Number.isInteger(Math.log2(cost.N)), 'AUTHOR_FILE_INVALID', 'N is not a power of two');
  check(memory(cost) <= MAX_MEMORY, 'AUTHOR_FILE_INVALID', 'scrypt would need too much memory');
  return cost;
}

/** The private key in the file. Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_FILE_INVALID, AUTHOR_PASSPHRASE_EMPTY. */
export async function openKeyFile(path: string, passphrase: string): Promise<PrivateKey> {
  const file = await readKeyFile(path);
  const secret = await secretOf(passphrase, file.salt, file.cost);
  let opened: Uint8Array;
  try {
    const publicKey = encodeKey(file.publicKey);
    opened = open('ChaCha20-Poly1305', secret, file.nonce, aad(publicKey), file.sealed);
  } catch (cause) {
    return fail('AUTHOR_PASSPHRASE_WRONG', undefined, {}, cause);
  }
  const key = decodePrivateKey(opened);
  const same = equal(encodeKey(key.publicKey), encodeKey(file.publicKey));
  check(same, 'AUTHOR_FILE_INVALID', 'the file names another public key than it holds');
  return key;
}

async function secretOf(passphrase: string, salt: Uint8Array, cost: Cost): Promise<Uint8Array> {
  check(passphrase.length > 0, 'AUTHOR_PASSPHRASE_EMPTY');
  // The same passphrase typed on another keyboard has the same bytes.
  const normal = passphrase.normalize('NFC');
  return new Uint8Array(await derive(normal, salt, 32, { ...cost, maxmem: 2 * memory(cost) }));
}

function memory({ N, r, p }: Cost): number {
  return 128 * r * (N + p);
}

function aad(publicKey: Uint8Array): Uint8Array {
  return concat(utf8(TYPE), publicKey);
}
