/** A release's envelope checked against its author's keys and its line: claims and signature on one block (T04). */
import { equal, hex } from '../bytes.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { check, fail } from '../errors.ts';
import { parseClaims, type Claims, type ReleaseClaims } from '../registry/claims.ts';
import { lineText } from '../registry/line.ts';
import { authenticate, readBlocks, type VerifiedEnvelope } from '../suit/authenticate.ts';
import { parseEnvelope, type Envelope } from '../suit/envelope.ts';
import { identity } from '../suit/identity.ts';
import type { TrustedKey } from './links.ts';
import type { ProvenLine } from './proof.ts';

declare const verified: unique symbol;

export interface VerifiedRelease {
  readonly [verified]: true;
  readonly sequence: bigint;
  /** SHA-256 of the manifest: the release's name on its line. */
  readonly digest: Uint8Array;
  readonly claims: ReleaseClaims;
  readonly envelope: VerifiedEnvelope;
}

/** Errors: SUIT_*, STATEMENT_*, TRUST_RELEASE_FOREIGN, TRUST_CLAIM_MISMATCH. */
export function verifyRelease(
  proven: ProvenLine,
  keys: readonly TrustedKey[],
  bytes: Uint8Array,
  checkKeyId: (keyId: Uint8Array) => void,
): VerifiedRelease {
  const parsed = parseEnvelope(bytes);
  explainUnknownKey(parsed, keys, checkKeyId);
  const envelope = authenticate(
    parsed,
    keys.map(({ key }) => key),
  );
  const claims = parseClaims(envelope.sign1.header);
  const release = claims.release ?? fail('TRUST_RELEASE_FOREIGN', 'not a release');
  const keyId = thumbprint(envelope.key);
  check(equal(claims.keyId, keyId), 'TRUST_CLAIM_MISMATCH', 'kid');
  const signers = keys.filter(({ key }) => equal(thumbprint(key), keyId));
  checkBelongs(
    proven,
    claims,
    signers.map(({ issuer }) => issuer),
  );
  const { manifest } = envelope;
  const { vendorId, classId } = identity(manifest);
  const { vendor, class: cls } = proven.line;
  check(equal(vendorId, vendor) && equal(classId, cls), 'TRUST_CLAIM_MISMATCH', 'vendor or class');
  check(manifest.sequence === claims.counter, 'TRUST_CLAIM_MISMATCH', 'sequence');
  return {
    sequence: manifest.sequence,
    digest: envelope.envelope.digestBytes,
    claims: release,
    envelope,
  } as VerifiedRelease;
}

// A signature by a key that is not trusted is refused in any case; where the key is known, the code says why.
function explainUnknownKey(
  envelope: Envelope,
  keys: readonly TrustedKey[],
  checkKeyId: (keyId: Uint8Array) => void,
): void {
  const kids = readBlocks(envelope).flatMap((block) => {
    const kid = block.kind === 'sign1' ? block.sign1.header.get(KID) : undefined;
    return kid instanceof Uint8Array ? [kid] : [];
  });
  if (kids.some((kid) => keys.some(({ key }) => equal(thumbprint(key), kid)))) return;
  for (const kid of kids) checkKeyId(kid);
}

// T03, T04: the claims name this line, its owner and this network.
function checkBelongs(proven: ProvenLine, claims: Claims, issuers: readonly string[]): void {
  check(claims.subject === lineText(proven.line), 'TRUST_RELEASE_FOREIGN', 'another line', {
    subject: claims.subject,
  });
  check(issuers.includes(claims.issuer), 'TRUST_RELEASE_FOREIGN', 'another author');
  check(
    claims.network === hex(proven.networkId),
    'TRUST_RELEASE_FOREIGN',
    'another network, or a test build',
  );
}
