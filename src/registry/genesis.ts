/** Genesis: the document from which a network's id follows (docs/spec/genesis.md). */
import { sha256 } from '#crypto';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asUint } from '../cbor/read.ts';
import { check } from '../errors.ts';
import { policyFromCbor, policyToCbor, shaped, type Policy } from './policy.ts';
import { createRoot } from './root.ts';
import { setPolicy } from './state.ts';
import type { View } from './view.ts';

export interface Genesis {
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly networkId: Uint8Array;
  /** POSIX seconds. */
  readonly time: number;
  readonly policy: Policy;
}

const TAG = 'firmament/genesis/v1';
const MAX_BYTES = 1 << 20;

/** Errors: POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED. */
export function createGenesis(time: number, policy: Policy): Genesis {
  return parseGenesis(encode([TAG, time, policyToCbor(policy)]));
}

/** Errors: POLICY_MALFORMED, POLICY_QUORUM, POLICY_KEY_REUSED. */
export function parseGenesis(bytes: Uint8Array): Genesis {
  const { time, policy } = shaped(() => {
    const [tag, at, body] = asArray(decode(bytes, { maxBytes: MAX_BYTES }), 'genesis', 3);
    check(tag === TAG, 'POLICY_MALFORMED', 'not a genesis');
    return { time: asUint(at ?? null, 'time'), policy: policyFromCbor(body ?? null) };
  });
  check(policy.version === 1, 'POLICY_MALFORMED', 'genesis carries policy version 1');
  return { bytes, networkId: sha256(bytes), time, policy };
}

/** Writes the state at height 0. */
export function initialize(view: View, genesis: Genesis): void {
  setPolicy(view, createRoot(genesis.networkId, genesis.policy).bytes);
}
