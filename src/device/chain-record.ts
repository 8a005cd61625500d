/** The checked links of a line as a device keeps them (docs/spec/device.md, T02). */
import { fromHex, hex } from '../bytes.ts';
import type { Chain } from '../trust/links.ts';
import type { JsonReader } from './json-fields.ts';

const HASH = /^[0-9a-f]{64}$/;
const KEY = /^(?:[0-9a-f]{2}){1,256}$/;
const MAX_KEYS = 96;
const MAX_RECOVERY = 8;

export function chainToJson(chain: Chain): unknown {
  const { count, owner, keys, recovery, counter } = chain;
  return {
    count,
    owner: hex(owner),
    keys: keys.map(({ key, issuer, delegation }) => ({
      key: hex(key),
      issuer,
      delegation: delegation && hex(delegation),
    })),
    recovery: recovery && { keys: recovery.recovery.map(hex), threshold: recovery.threshold },
    counter: String(counter),
  };
}

/** Errors: the reader's code. */
export function chainFromJson(json: JsonReader, value: unknown): Chain {
  const chain = json.object(value, 'chain', ['count', 'owner', 'keys', 'recovery', 'counter']);
  const bytes = (text: unknown, what: string, pattern: RegExp): Uint8Array =>
    fromHex(json.text(text, what, pattern));
  const recovery =
    chain['recovery'] === null
      ? null
      : json.object(chain['recovery'], 'recovery', ['keys', 'threshold']);
  return {
    count: json.uint(chain['count'], 'count'),
    owner: bytes(chain['owner'], 'owner', HASH),
    keys: json.list(chain['keys'], 'keys', MAX_KEYS).map((entry) => {
      const { key, issuer, delegation } = json.object(entry, 'key', [
        'key',
        'issuer',
        'delegation',
      ]);
      return {
        key: bytes(key, 'key', KEY),
        issuer: json.text(issuer, 'issuer', HASH),
        delegation: delegation === null ? null : bytes(delegation, 'delegation', HASH),
      };
    }),
    recovery: recovery && {
      recovery: json
        .list(recovery['keys'], 'recovery keys', MAX_RECOVERY)
        .map((key) => bytes(key, 'recovery key', KEY)),
      threshold: json.uint(recovery['threshold'], 'threshold'),
    },
    counter: json.uint64(chain['counter'], 'counter'),
  };
}
