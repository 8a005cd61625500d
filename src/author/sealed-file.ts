/** A secret in a JSON file, encrypted under a passphrase (docs/spec/author-files.md). */
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { ScryptOptions } from 'node:crypto';
import { open, seal } from '#crypto';
import { fromHex, hex } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import type { Random } from '../random.ts';
import { isObject, numberField, textField, type JsonObject } from './json-file.ts';

/** scrypt's cost: N, r and p of RFC 7914. */
export interface Cost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

export interface Sealed {
  readonly cost: Cost;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/** 128 MiB of memory and about half a second for a guess. */
export const COST: Cost = { N: 2 ** 17, r: 8, p: 1 };

const MAX_MEMORY = 512 * 1024 * 1024;
const derive = promisify<string, Uint8Array, number, ScryptOptions, Uint8Array>(scrypt);

/** The fields `kdf`, `cipher` and `sealed` of a file. `aad`: what else the file says. Errors: AUTHOR_PASSPHRASE_EMPTY. */
export async function sealSecret(
  secret: Uint8Array,
  passphrase: string,
  aad: Uint8Array,
  options: { readonly random: Random; readonly cost?: Cost },
): Promise<JsonObject> {
  const { random, cost = COST } = options;
  const salt = random(32);
  const nonce = random(12);
  const key = await keyOf(passphrase, salt, cost);
  return {
    kdf: { name: 'scrypt', ...cost, salt: hex(salt) },
    cipher: { name: 'ChaCha20-Poly1305', nonce: hex(nonce) },
    sealed: hex(seal('ChaCha20-Poly1305', key, nonce, aad, secret)),
  };
}

/** Reads those fields and, by `rest`, the file's others. Errors: AUTHOR_FILE_INVALID. */
export function readSealed<T>(
  json: JsonObject,
  rest: (json: JsonObject) => T,
): { readonly lock: Sealed; readonly rest: T } {
  try {
    const { kdf, cipher } = json;
    if (!isObject(kdf) || kdf['name'] !== 'scrypt') fail('AUTHOR_FILE_INVALID', 'unknown kdf');
    if (!isObject(cipher) || cipher['name'] !== 'ChaCha20-Poly1305')
      fail('AUTHOR_FILE_INVALID', 'unknown cipher');
    const lock = {
      cost: parseCost(kdf),
      salt: fromHex(textField(kdf, 'salt'), 32),
      nonce: fromHex(textField(cipher, 'nonce'), 12),
      sealed: fromHex(textField(json, 'sealed')),
    };
    return { lock, rest: rest(json) };
  } catch (cause) {
    if (codeOf(cause) === 'AUTHOR_FILE_INVALID') throw cause;
    return fail('AUTHOR_FILE_INVALID', 'not a key file', {}, cause);
  }
}

/** The secret. Errors: AUTHOR_PASSPHRASE_WRONG, AUTHOR_PASSPHRASE_EMPTY. */
export async function openSecret(
  { cost, salt, nonce, sealed }: Sealed,
  passphrase: string,
  aad: Uint8Array,
): Promise<Uint8Array> {
  const key = await keyOf(passphrase, salt, cost);
  try {
    return open('ChaCha20-Poly1305', key, nonce, aad, sealed);
  } catch (cause) {
    return fail('AUTHOR_PASSPHRASE_WRONG', undefined, {}, cause);
  }
}

// Whoever can change the file must not be able to have us spend memory without end.
function parseCost(kdf: JsonObject): Cost {
  const cost = {
    N: numberField(kdf, 'N', 2, 2 ** 20),
    r: numberField(kdf, 'r', 1, 32),
    p: numberField(kdf, 'p', 1, 16),
  };
  check(Number.isInteger(Math.log2(cost.N)), 'AUTHOR_FILE_INVALID', 'N is not a power of two');
  check(memory(cost) <= MAX_MEMORY, 'AUTHOR_FILE_INVALID', 'scrypt would need too much memory');
  return cost;
}

async function keyOf(passphrase: string, salt: Uint8Array, cost: Cost): Promise<Uint8Array> {
  check(passphrase.length > 0, 'AUTHOR_PASSPHRASE_EMPTY');
  // The same passphrase typed on another keyboard has the same bytes.
  const normal = passphrase.normalize('NFC');
  return new Uint8Array(await derive(normal, salt, 32, { ...cost, maxmem: 2 * memory(cost) }));
}

function memory({ N, r, p }: Cost): number {
  return 128 * r * (N + p);
}
