/** A reader's memory as bytes: deterministic CBOR, strict when it is read back. */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asText, asUint, asUint64 } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { check, fail } from '../errors.ts';
import type { Chain } from './links.ts';
import type { TrustState } from './state.ts';

const TAG = 'firmament/trust/v1';
const MAX_BYTES = 1 << 20;

export function encodeTrustState(state: TrustState): Uint8Array {
  const { head, floor, chains, lowest, confirmed } = state;
  return encode([
    TAG,
    head && [head.size, head.root],
    floor,
    chains.map(chainToCbor),
    [...lowest],
    confirmed && [confirmed.sequence, confirmed.digest],
  ]);
}

function chainToCbor({ count, owner, keys, recovery, counter }: Chain): Cbor {
  return [
    count,
    owner,
    keys.map(({ key, issuer, delegation }) => [key, issuer, delegation]),
    recovery && [[...recovery.recovery], recovery.threshold],
    counter,
  ];
}

/** Errors: TRUST_MEMORY_CORRUPT. */
export function decodeTrustState(bytes: Uint8Array): TrustState {
  try {
    const [tag, head, floor, chains, lowest, confirmed] = asArray(
      decode(bytes, { maxBytes: MAX_BYTES }),
      'trust state',
      6,
    );
    check(tag === TAG, 'TRUST_MEMORY_CORRUPT', 'not a trust state');
    return {
      head: optional(head, (value) => {
        const [size, root] = asArray(value, 'head', 2);
        return { size: asUint(size ?? null, 'size'), root: asBytes(root ?? null, 'root', 32) };
      }),
      floor: asUint(floor ?? null, 'floor'),
      chains: asArray(chains ?? null, 'chains').map(chainFromCbor),
      lowest: asArray(lowest ?? null, 'lowest').map((value) => asUint64(value, 'lowest')),
      confirmed: optional(confirmed, (value) => {
        const [sequence, digest] = asArray(value, 'confirmed', 2);
        return {
          sequence: asUint64(sequence ?? null, 'sequence'),
          digest: asBytes(digest ?? null, 'digest', 32),
        };
      }),
    };
  } catch (cause) {
    return fail(
      'TRUST_MEMORY_CORRUPT',
      cause instanceof Error ? cause.message : undefined,
      {},
      cause,
    );
  }
}

function optional<T>(value: Cbor | undefined, read: (value: Cbor) => T): T | null {
  return value === null || value === undefined ? null : read(value);
}

function chainFromCbor(value: Cbor): Chain {
  const [count, owner, keys, recovery, counter] = asArray(value, 'chain', 5);
  return {
    count: asUint(count ?? null, 'count'),
    owner: asBytes(owner ?? null, 'owner', 32),
    keys: asArray(keys ?? null, 'keys').map((entry) => {
      const [key, issuer, delegation] = asArray(entry, 'key', 3);
      return {
        key: asBytes(key ?? null, 'key', { max: 256 }),
        issuer: asText(issuer ?? null, 'issuer', 64),
        delegation: optional(delegation, (bytes) => asBytes(bytes, 'delegation', 32)),
      };
    }),
    recovery: optional(recovery, (entry) => {
      const [list, threshold] = asArray(entry, 'recovery', 2);
      return {
        recovery: asArray(list ?? null, 'recovery keys').map((key) =>
          asBytes(key, 'recovery key', { max: 256 }),
        ),
        threshold: asUint(threshold ?? null, 'threshold'),
      };
    }),
    counter: asUint64(counter ?? null, 'counter'),
  };
}
