/** The root that devices pin: the network's id and the policy in force (docs/spec/genesis.md, T08). */
import { sha256 } from '#crypto';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes } from '../cbor/read.ts';
import { check } from '../errors.ts';
import { policyFromCbor, policyToCbor, shaped, type Policy } from './policy.ts';

/** `networkId` has 32 bytes; `hash` is what an epoch names as its policy. */
export interface Root {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly networkId: Uint8Array;
  readonly policy: Policy;
}

const TAG = 'firmament/root/v1';
const MAX_BYTES = 1 << 20;

export function createRoot(networkId: Uint8Array, policy: Policy): Root {
  return parseRoot(encode([TAG, networkId, policyToCbor(policy)]));
}

/** Errors: POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED. */
export function parseRoot(bytes: Uint8Array): Root {
  return shaped(() => {
    const [tag, networkId, body] = asArray(decode(bytes, { maxBytes: MAX_BYTES }), 'root', 3);
    check(tag === TAG, 'POLICY_MALFORMED', 'not a root');
    return {
      bytes,
      hash: sha256(bytes),
      networkId: asBytes(networkId ?? null, 'network id', 32),
      policy: policyFromCbor(body ?? null),
    };
  });
}
