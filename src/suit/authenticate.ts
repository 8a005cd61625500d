/** Who made an envelope: its digest is the manifest's and a trusted key signed the digest. */
import { hash } from '#crypto';
import { equal } from '../bytes.ts';
import { curveOf } from '../cose/algorithm.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { verifySign1 } from '../cose/sign1.ts';
import type { Sign1 } from '../cose/sign1.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { readBlock } from './block.ts';
import type { Block } from './block.ts';
import { digestMatches } from './digest.ts';
import type { Envelope } from './envelope.ts';
import { parseManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';

declare const verified: unique symbol;

/** An envelope whose manifest a trusted key signed. Only `authenticate` makes one. */
export interface VerifiedEnvelope {
  readonly [verified]: true;
  readonly envelope: Envelope;
  readonly manifest: Manifest;
  /** The block that verified; its header has the claims. */
  readonly sign1: Sign1;
  /** The key that it verified with. */
  readonly key: PublicKey;
  /** From the first COSE_Sign1's unprotected header. Not signed: the log's keys vouch for them. */
  readonly receipts: readonly Uint8Array[];
}

/** Signatures that are checked at most for one envelope. */
const MAX_CHECKS = 64;

/**
 * The envelope, verified with one of `keys`, and its manifest, parsed only then (draft 6.2).
 * Unsigned bytes that pass: the unprotected headers, and blocks other than the one that verified.
 * Errors: SUIT_DIGEST_MISMATCH, SUIT_UNAUTHENTICATED (no block, or none that can be checked here),
 * SUIT_SIGNATURE_INVALID, block.ts' and parseManifest's, SUIT_INTEGRATED_*.
 */
export function authenticate(envelope: Envelope, keys: readonly PublicKey[]): VerifiedEnvelope {
  checkManifestDigest(envelope);
  const blocks = readBlocks(envelope);
  const { sign1, key } = findSigner(blocks, keys, envelope.digest);
  const manifest = manifestOf(envelope);
  const receipts = blocks.find((block) => block.kind === 'sign1')?.receipts ?? [];
  return { envelope, manifest, sign1, key, receipts } as unknown as VerifiedEnvelope;
}

/** Draft 8.3: the digest is of the manifest's byte string, head included. */
export function checkManifestDigest(envelope: Envelope): void {
  check(
    equal(hash(envelope.digestAlgorithm, envelope.manifestBytes), envelope.digestBytes),
    'SUIT_DIGEST_MISMATCH',
    'the manifest is not the one that the authentication wrapper has the digest of',
  );
}

/** Every block, in order. Receipts are accepted in the first COSE_Sign1 only. */
export function readBlocks(envelope: Envelope): readonly Block[] {
  const blocks: Block[] = [];
  for (const bytes of envelope.authenticationBlocks)
    blocks.push(readBlock(bytes, !blocks.some((block) => block.kind === 'sign1')));
  return blocks;
}

/** The manifest, not authenticated, with every severed member and integrated payload checked. */
export function manifestOf(envelope: Envelope): Manifest {
  const { severed } = envelope;
  const offset = envelope.manifest.contentOffset - headLength(envelope);
  const manifest = parseManifest(envelope.manifestBytes, { severed, offset });
  checkIntegrated(envelope, manifest);
  return manifest;
}

function headLength({ manifest }: Envelope): number {
  return manifest.raw.length - manifest.content.length;
}

/** Integrated payloads are outside the signature: each must be an image that the manifest names. */
function checkIntegrated(envelope: Envelope, manifest: Manifest): void {
  for (const [uri, payload] of envelope.integrated) {
    const images = manifest.images.filter((image) => image.uri === uri);
    check(
      images.length > 0,
      'SUIT_INTEGRATED_UNREFERENCED',
      'no digest in the manifest covers an integrated payload',
      { uri },
    );
    check(
      images.some(({ algorithm, digest }) => digestMatches({ algorithm, bytes: digest }, payload)),
      'SUIT_INTEGRATED_DIGEST_MISMATCH',
      'an integrated payload is not the image that the manifest names',
      { uri },
    );
  }
}

function findSigner(
  blocks: readonly Block[],
  keys: readonly PublicKey[],
  digest: Uint8Array,
): { readonly sign1: Sign1; readonly key: PublicKey } {
  const checkable = blocks.flatMap((block) => (block.kind === 'sign1' ? [block.sign1] : []));
  if (checkable.length === 0) {
    const why = blocks.flatMap((block) => (block.kind === 'unsupported' ? [block.why] : []));
    return fail(
      'SUIT_UNAUTHENTICATED',
      why.length === 0
        ? 'the envelope has no authentication block'
        : `no authentication block can be checked: ${why.join('; ')}`,
    );
  }
  const kids = keys.map(thumbprint);
  let checks = 0;
  for (const sign1 of checkable)
    for (const key of candidates(sign1, keys, kids)) {
      if (++checks > MAX_CHECKS)
        fail('SUIT_BLOCKS_TOO_MANY', `more than ${MAX_CHECKS} signature checks for one envelope`);
      if (signedBy(sign1, key, digest)) return { sign1, key };
    }
  return fail('SUIT_SIGNATURE_INVALID');
}

/** A kid that is the thumbprint of a trusted key selects that key; any other kid says nothing. */
function candidates(
  sign1: Sign1,
  keys: readonly PublicKey[],
  kids: readonly Uint8Array[],
): readonly PublicKey[] {
  const kid = sign1.header.get(KID);
  const named = kid instanceof Uint8Array ? kids.findIndex((each) => equal(each, kid)) : -1;
  const pool = named < 0 ? keys : keys.slice(named, named + 1);
  return pool.filter((key) => key.curve === curveOf(sign1.algorithm));
}

function signedBy(sign1: Sign1, key: PublicKey, digest: Uint8Array): boolean {
  try {
    verifySign1(sign1, key, digest);
    return true;
  } catch (error) {
    if (codeOf(error) === 'COSE_SIGNATURE_INVALID') return false;
    throw error;
  }
}
