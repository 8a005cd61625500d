/** A release's envelope checked against its author's keys and its line: claims and signature on one block (T04). */
import { equal, hex } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail } from '../errors.ts';
import { parseClaims, type Claims, type ReleaseClaims } from '../registry/claims.ts';
import { lineText } from '../registry/line.ts';
import { authenticate, type VerifiedEnvelope } from '../suit/authenticate.ts';
import { parseEnvelope } from '../suit/envelope.ts';
import { identity } from '../suit/identity.ts';
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
  keys: readonly PublicKey[],
  bytes: Uint8Array,
): VerifiedRelease {
  const envelope = authenticate(parseEnvelope(bytes), keys);
  const claims = parseClaims(envelope.sign1.header);
  const release = claims.release ?? fail('TRUST_RELEASE_FOREIGN', 'not a release');
  checkBelongs(proven, claims);
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

// T03, T04: the claims name this line, its owner and this network.
function checkBelongs(proven: ProvenLine, claims: Claims): void {
  check(claims.subject === lineText(proven.line), 'TRUST_RELEASE_FOREIGN', 'another line', {
    subject: claims.subject,
  });
  check(claims.issuer === hex(proven.line.author), 'TRUST_RELEASE_FOREIGN', 'another author');
  check(
    claims.network === hex(proven.networkId),
    'TRUST_RELEASE_FOREIGN',
    'another network, or a test build',
  );
}
