/** Who made an envelope: its digest is the manifest's and a trusted key vouches for the digest. */
import { hash } from '#crypto';
import { equal } from '../bytes.ts';
import { curveOf } from '../cose/algorithm.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { verifyMac0 } from '../cose/mac0.ts';
import type { Mac0 } from '../cose/mac0.ts';
import { verifySign1 } from '../cose/sign1.ts';
import type { Sign1 } from '../cose/sign1.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, codeOf, fail } from '../errors.ts';
import { readBlock } from './block.ts';
import type { Block } from './block.ts';
import { digestMatches } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import type { Image } from './images.ts';
import { parseManifest } from './manifest.ts';
import type { Manifest } from './manifest.ts';

declare const verified: unique symbol;

/** An envelope whose manifest a trusted key vouches for. Only the functions below make one. */
export interface AuthenticatedEnvelope {
  readonly [verified]: true;
  readonly envelope: Envelope;
  readonly manifest: Manifest;
  /** From the first COSE_Sign1's unprotected header. Not signed: the log's keys vouch for them. */
  readonly receipts: readonly Uint8Array[];
}

/** An envelope whose manifest a trusted key signed. */
export interface VerifiedEnvelope extends AuthenticatedEnvelope {
  /** The block that verified; its header has the claims. */
  readonly sign1: Sign1;
  /** The key that it verified with. */
  readonly key: PublicKey;
}

/** An envelope whose manifest was made by somebody who has a MAC key. */
export interface MacVerifiedEnvelope extends AuthenticatedEnvelope {
  readonly mac0: Mac0;
}

/** Whom to believe. */
export interface Trust {
  readonly keys: readonly PublicKey[];
  /** Secrets for HMAC-SHA-256: whoever has one can make manifests too. */
  readonly macKeys?: readonly Uint8Array[];
}

/** Signatures and MACs that are checked at most for one envelope. */
const MAX_CHECKS = 64;

/**
 * The envelope, verified with one of `keys`, and its manifest, parsed only then (draft 6.2).
 * Unsigned bytes that pass: the unprotected headers, and blocks other than the one that verified.
 * Errors: SUIT_DIGEST_MISMATCH, SUIT_UNAUTHENTICATED (no block, or none that can be checked here),
 * SUIT_SIGNATURE_INVALID, block.ts' and parseManifest's, SUIT_INTEGRATED_*.
 */
export function authenticate(envelope: Envelope, keys: readonly PublicKey[]): VerifiedEnvelope {
  // Without MAC keys only a signature can have been found.
  return authenticateWith(envelope, { keys }) as VerifiedEnvelope;
}

/** The same with a signature or a MAC: one valid block by one trusted key is enough. */
export function authenticateWith(
  envelope: Envelope,
  trust: Trust,
): VerifiedEnvelope | MacVerifiedEnvelope {
  checkManifestDigest(envelope);
  const blocks = readBlocks(envelope);
  const by = findAuthenticator(blocks, trust, envelope.digest);
  const manifest = manifestOf(envelope);
  const receipts = blocks.find((block) => block.kind === 'sign1')?.receipts ?? [];
  return { envelope, manifest, receipts, ...by } as VerifiedEnvelope | MacVerifiedEnvelope;
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

/**
 * Integrated payloads are outside the signature: each must be an image, or a dependency, that the
 * manifest names. One that is decrypted as it is fetched is judged then, by its tag or digest.
 */
function checkIntegrated(envelope: Envelope, manifest: Manifest): void {
  for (const [uri, payload] of envelope.integrated) {
    const from = (image: Image): boolean => image.uri === uri;
    const images = manifest.images.filter(from);
    const dependencies = manifest.dependencyImages.filter(from);
    check(
      images.length > 0 || dependencies.length > 0,
      'SUIT_INTEGRATED_UNREFERENCED',
      'no digest in the manifest covers an integrated payload',
      { uri },
    );
    check(
      images.some((image) => image.encrypted || names(image, payload)) ||
        dependencies.some((image) => image.encrypted || namesManifest(image, payload)),
      'SUIT_INTEGRATED_DIGEST_MISMATCH',
      'an integrated payload is not the image that the manifest names',
      { uri },
    );
  }
}

function names({ algorithm, digest }: Image, payload: Uint8Array): boolean {
  return digestMatches({ algorithm, bytes: digest }, payload);
}

/** trust-domains 5.2.2: a dependency's digest is of its manifest, as its envelope has it. */
function namesManifest(image: Image, payload: Uint8Array): boolean {
  return names(image, parseEnvelope(payload).manifestBytes);
}

type Authenticator = { readonly sign1: Sign1; readonly key: PublicKey } | { readonly mac0: Mac0 };

function findAuthenticator(
  blocks: readonly Block[],
  { keys, macKeys = [] }: Trust,
  digest: Uint8Array,
): Authenticator {
  const kids = keys.map(thumbprint);
  const refused: string[] = [];
  let checks = 0;
  const count = (): void => {
    if (++checks > MAX_CHECKS)
      fail('SUIT_BLOCKS_TOO_MANY', `more than ${MAX_CHECKS} blocks and keys for one envelope`);
  };
  let checkable = false;
  for (const block of blocks)
    if (block.kind === 'unsupported') refused.push(block.why);
    else if (block.kind === 'sign1') {
      checkable = true;
      for (const key of candidates(block.sign1, keys, kids)) {
        count();
        if (holds(() => verifySign1(block.sign1, key, digest))) return { sign1: block.sign1, key };
      }
    } else if (macKeys.length === 0) refused.push('a COSE_Mac0 needs a MAC key');
    else {
      checkable = true;
      for (const key of macKeys) {
        count();
        if (holds(() => verifyMac0(block.mac0, key, digest))) return { mac0: block.mac0 };
      }
    }
  if (checkable) return fail('SUIT_SIGNATURE_INVALID');
  return fail(
    'SUIT_UNAUTHENTICATED',
    refused.length === 0
      ? 'the envelope has no authentication block'
      : `no authentication block can be checked: ${refused.join('; ')}`,
  );
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

function holds(verify: () => void): boolean {
  try {
    verify();
    return true;
  } catch (error) {
    if (codeOf(error) === 'COSE_SIGNATURE_INVALID') return false;
    throw error;
  }
}
