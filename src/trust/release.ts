/** A release's envelope checked against its author's keys and its line: claims and signature on one block (T04). */
import { equal, hex } from '../bytes.ts';
import { KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { verifyMac0, type Mac0 } from '../cose/mac0.ts';
import { check, fail } from '../errors.ts';
import { parseClaims, type Claims, type ReleaseClaims } from '../registry/claims.ts';
import { lineText } from '../registry/line.ts';
import { isMacOf, type PreSharedKey } from '../registry/psk.ts';
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

/**
 * `checkKeyId` says why a key is not trusted. With `psk` the envelope needs a MAC by it besides.
 * Errors: SUIT_*, STATEMENT_*, TRUST_RELEASE_FOREIGN, TRUST_CLAIM_MISMATCH, TRUST_MAC_MISSING, TRUST_MAC_INVALID.
 */
export function verifyRelease(input: {
  readonly proven: ProvenLine;
  readonly keys: readonly TrustedKey[];
  readonly envelope: Uint8Array;
  readonly checkKeyId: (keyId: Uint8Array) => void;
  readonly psk: PreSharedKey | undefined;
}): VerifiedRelease {
  const { proven, keys, checkKeyId, psk } = input;
  const parsed = parseEnvelope(input.envelope);
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
  checkMacHere(parsed, release);
  if (psk) checkMac(parsed, psk);
  return {
    sequence: manifest.sequence,
    digest: envelope.envelope.digestBytes,
    claims: release,
    envelope,
  } as VerifiedRelease;
}

// T07: a gateway has no PSK, and must not keep for its devices an envelope that a node took the MAC out of.
function checkMacHere({ authenticationBlocks }: Envelope, { mac }: ReleaseClaims): void {
  const here = mac === undefined || authenticationBlocks.some((block) => equal(block, mac));
  check(here, 'TRUST_MAC_MISSING');
}

// T07: whoever has stolen the release key, or learned to forge signatures, still lacks the PSK.
function checkMac(envelope: Envelope, psk: PreSharedKey): void {
  const macs = readBlocks(envelope).flatMap((block) =>
    block.kind === 'mac0' && isMacOf(block.mac0, psk.keyId) ? [block.mac0] : [],
  );
  check(macs.length > 0, 'TRUST_MAC_MISSING');
  // Others may have put blocks beside the author's: one that verifies is enough.
  const verifies = (mac: Mac0): boolean => {
    try {
      verifyMac0(mac, psk.key, envelope.digest);
      return true;
    } catch {
      return false;
    }
  };
  check(macs.some(verifies), 'TRUST_MAC_INVALID');
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
