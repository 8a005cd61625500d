/** The statements that an author signs (docs/spec/statement.md), from their parts. Pure; counters come from the caller. */
import { sign } from '#crypto';
import { concat, hex } from '../bytes.ts';
import { encodeKey } from '../cose/key.ts';
import type { Cbor } from '../cbor/value.ts';
import type { PrivateKey, PublicKey, SigningKey } from '../crypto/key.ts';
import type { ReleaseClaims } from '../registry/claims.ts';
import { lineText, type Line } from '../registry/line.ts';
import { operatorClaim } from '../registry/rules/author-register.ts';
import { createStatement, type Statement } from '../registry/statement.ts';
import { suitDigest } from '../suit/digest.ts';

/** Who signs, and for which network. */
export interface Signer {
  readonly key: SigningKey;
  /** Author id, 32 bytes. */
  readonly author: Uint8Array;
  readonly networkId: Uint8Array;
}

/** An operator's word that an author is its own (author.register, field 5). */
export interface OperatorProof {
  readonly name: string;
  /** By the operator's governance key over `operatorClaim`. */
  readonly signature: Uint8Array;
}

export interface AnchoredImage {
  /** Manifest digest. */
  readonly release: Uint8Array;
  /** SHA-256 of the image. */
  readonly image: Uint8Array;
  readonly size: number;
  /** CID bytes of the root. */
  readonly root: Uint8Array;
  /** SHA-256 of every chunk. */
  readonly chunks: readonly Uint8Array[];
  readonly component: number;
}

export function operatorProof(
  name: string,
  governance: PrivateKey,
  networkId: Uint8Array,
  author: Uint8Array,
): OperatorProof {
  return { name, signature: sign(governance, operatorClaim(networkId, author)) };
}

export function registerStatement(
  signer: Signer,
  counter: bigint,
  author: {
    readonly name: string;
    readonly recovery: readonly PublicKey[];
    readonly threshold: number;
    readonly operator?: OperatorProof;
    /** The key id of a PSK author's PSK (T07): never the PSK. */
    readonly psk?: Uint8Array;
  },
): Statement {
  const { operator, psk } = author;
  const payload = new Map<Cbor, Cbor>([
    [1, encodeKey(signer.key.publicKey)],
    [2, author.recovery.map(encodeKey)],
    [3, author.threshold],
    [4, author.name],
  ]);
  if (operator) payload.set(5, [operator.name, operator.signature]);
  if (psk) payload.set(6, psk);
  const subject = hex(signer.author);
  return createStatement(
    signer.key,
    { kind: 'author.register', issuer: subject, subject, network: hex(signer.networkId), counter },
    payload,
  );
}

export function declareStatement(signer: Signer, counter: bigint, line: Line): Statement {
  return aboutLine(signer, 'line.declare', counter, line, [
    [1, line.vendor],
    [2, line.class],
    [3, line.track],
  ]);
}

/**
 * The release of a manifest as it stands in an envelope (bstr header included). Its counter is the
 * manifest's sequence. Without `networkId` it is a test build, which no network registers (T04).
 */
export function releaseStatement(
  signer: Omit<Signer, 'networkId'> & { readonly networkId?: Uint8Array | undefined },
  sequence: bigint,
  line: Line,
  manifest: Uint8Array,
  release: ReleaseClaims,
): Statement {
  const { networkId } = signer;
  return createStatement(
    signer.key,
    {
      kind: 'release',
      issuer: hex(signer.author),
      subject: lineText(line),
      ...(networkId && { network: hex(networkId) }),
      counter: sequence,
      release,
    },
    suitDigest(manifest),
  );
}

export function anchorStatement(
  signer: Signer,
  counter: bigint,
  line: Line,
  anchor: AnchoredImage,
): Statement {
  return aboutLine(signer, 'image.anchor', counter, line, [
    [1, anchor.release],
    [2, anchor.image],
    [3, anchor.size],
    [4, anchor.root],
    [5, concat(...anchor.chunks)],
    [6, anchor.component],
  ]);
}

/** `lowest`: the lowest sequence that is still allowed on the line. */
export function withdrawStatement(
  signer: Signer,
  counter: bigint,
  line: Line,
  withdrawal: { readonly release: Uint8Array; readonly lowest: bigint; readonly reason: string },
): Statement {
  return aboutLine(signer, 'release.withdraw', counter, line, [
    [1, withdrawal.release],
    [2, withdrawal.lowest],
    [3, withdrawal.reason],
  ]);
}

function aboutLine(
  signer: Signer,
  kind: 'line.declare' | 'image.anchor' | 'release.withdraw',
  counter: bigint,
  line: Line,
  payload: readonly (readonly [number, Cbor])[],
): Statement {
  return createStatement(
    signer.key,
    {
      kind,
      issuer: hex(signer.author),
      subject: lineText(line),
      network: hex(signer.networkId),
      counter,
    },
    new Map<Cbor, Cbor>(payload),
  );
}
