/**
 * A certificate: a CometBFT SignedHeader, verbatim (docs/spec/commit-certificate.md). Reading one
 * proves nothing: verify.ts does.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { SignedHeaderSchema, type SignedHeader } from '../proto/tendermint/types/types_pb.js';
import { readCommit, wireCommit, type Commit } from './commit.ts';
import { readHeader, wireHeader, type Header } from './header.ts';

export interface Certificate {
  readonly header: Header;
  readonly commit: Commit;
}

export const MAX_CERTIFICATE = 65_536;

/** Errors: COMMIT_MALFORMED (too long, not the one encoding, or not of the shape that CometBFT accepts). */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  check(bytes.length <= MAX_CERTIFICATE, 'COMMIT_MALFORMED', 'longer than a certificate may be');
  const wire = parse(bytes);
  const certificate = readCertificate(wire);
  // Unknown fields, fields out of order or written twice: whatever does not come out as it went in.
  check(equal(encodeCertificate(certificate), bytes), 'COMMIT_MALFORMED', 'not the one encoding');
  return certificate;
}

function parse(bytes: Uint8Array): SignedHeader {
  try {
    return fromBinary(SignedHeaderSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    return fail('COMMIT_MALFORMED', 'not protobuf', {}, cause);
  }
}

/** Errors: COMMIT_MALFORMED. */
export function readCertificate(wire: SignedHeader): Certificate {
  return { header: readHeader(wire.header), commit: readCommit(wire.commit) };
}

export function encodeCertificate({ header, commit }: Certificate): Uint8Array {
  const wire = create(SignedHeaderSchema, {
    header: wireHeader(header),
    commit: wireCommit(commit),
  });
  return toBinary(SignedHeaderSchema, wire);
}

/** Height of the CometBFT block, which is not that of our block. Errors: COMMIT_MALFORMED. */
export function heightOf({ header }: Certificate): number {
  const height = Number(header.height);
  check(Number.isSafeInteger(height), 'COMMIT_MALFORMED', 'a height beyond 2^53');
  return height;
}

/** POSIX seconds, rounded down. */
export function timeOf({ header }: Certificate): number {
  return Number(header.time.seconds);
}

/** What the header says of our log: `appHash` of a head, as the blocks before this one left it. */
export function appHashOf({ header }: Certificate): Uint8Array {
  return header.appHash;
}
