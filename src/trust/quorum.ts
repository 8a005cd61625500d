/** T09: a quorum counts operators, any cosigner of each. */
import { hex } from '../bytes.ts';
import { check } from '../errors.ts';
import { formatCheckpoint, originOf } from '../log/checkpoint.ts';
import { keyId, verifyCosignature, type Cosignature } from '../log/cosignature.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';

export interface Witness {
  readonly operator: string;
  /** POSIX seconds: its newest cosignature of the head. */
  readonly time: number;
}

/**
 * The operators whose cosignatures of the head verify; at least k of them. Unknown keys are ignored, a known
 * key with a bad signature refuses the whole (C2SP signed-note).
 * Errors: TRUST_QUORUM, LOG_COSIGNATURE_INVALID.
 */
export function countOperators(
  root: Root,
  head: { readonly size: number; readonly root: Uint8Array },
  cosignatures: readonly Cosignature[],
): readonly Witness[] {
  const checkpoint = formatCheckpoint({
    origin: originOf(root.networkId),
    size: head.size,
    root: head.root,
  });
  const cosigners = cosignersOf(root);
  const newest = new Map<string, number>();
  for (const cosignature of cosignatures) {
    const signer = cosigners.get(hex(cosignature.keyId));
    if (!signer) continue;
    verifyCosignature(signer.node.cosigner, signer.name, checkpoint, cosignature);
    const operator = signer.operator.name;
    newest.set(operator, Math.max(newest.get(operator) ?? 0, cosignature.time));
  }
  check(newest.size >= root.policy.quorum, 'TRUST_QUORUM', undefined, {
    operators: newest.size,
    quorum: root.policy.quorum,
  });
  return [...newest].map(([operator, time]) => ({ operator, time }));
}

const known = new WeakMap<Root, ReadonlyMap<string, NamedNode>>();

/** The pinned cosigners by the hex of their C2SP key id. */
export function cosignersOf(root: Root): ReadonlyMap<string, NamedNode> {
  let cosigners = known.get(root);
  if (!cosigners) {
    cosigners = new Map(
      nodesOf(root.policy).map((named) => [hex(keyId(named.name, named.node.cosigner)), named]),
    );
    known.set(root, cosigners);
  }
  return cosigners;
}
