/** What a release says of itself, as plain data for JSON and as lines for people (T04). */
import { hex } from '../bytes.ts';
import type { ReleaseClaims } from './claims.ts';

export interface ReleaseDescription {
  readonly version: string;
  readonly kind: 'security' | 'functional';
  /** Lowest and highest sequence that it may be installed over, decimal; null: any. */
  readonly applies: readonly [string, string] | null;
  /** Manifest digest of the waypoint in hex. */
  readonly via: string | null;
  /** POSIX seconds. */
  readonly supportUntil: number | null;
  /** SBOM, advisory, notes: `sha256` of the document, in hex, and where its author put it. */
  readonly documents: readonly {
    readonly type: string;
    readonly sha256: string;
    readonly where: string;
  }[];
}

export function describeRelease(claims: ReleaseClaims): ReleaseDescription {
  const { version, urgency, applies, via, supportUntil, documents } = claims;
  return {
    version,
    kind: urgency,
    applies: applies ? [applies[0].toString(), applies[1].toString()] : null,
    via: via ? hex(via) : null,
    supportUntil: supportUntil ?? null,
    documents: documents.map(({ type, digest, where }) => ({ type, sha256: hex(digest), where })),
  };
}

/** One line for each thing said. */
export function descriptionLines(description: ReleaseDescription): readonly string[] {
  const { version, kind, applies, via, supportUntil, documents } = description;
  return [
    `version ${version}, ${kind}`,
    ...(applies
      ? [`for sequences ${applies[0]} to ${applies[1]}${via ? `, via ${via}` : ''}`]
      : []),
    ...(supportUntil === null ? [] : [`supported until ${dateText(supportUntil)}`]),
    ...documents.map(({ type, sha256, where }) => `${type} ${sha256} at ${where}`),
  ];
}

// A date beyond what calendars have stays a number.
function dateText(seconds: number): string {
  return seconds <= 8.64e12 ? new Date(seconds * 1000).toISOString() : String(seconds);
}
