/**
 * The protected header of a statement and its CWT claims (docs/spec/statement.md, T04). The same parser
 * reads them from the ledger's statement and from a SUIT envelope's authentication block.
 */
import { asArray, asBytes, asMap, asText, asUint, asUint64, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { algorithmFor } from '../cose/algorithm.ts';
import * as label from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import type { SigningKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';

export const KINDS = [
  'author.register',
  'line.declare',
  'release',
  'image.anchor',
  'image.hold',
  'image.drop',
  'release.withdraw',
  'key.rotate',
  'key.revoke',
  'line.delegate',
  'line.transfer',
  'policy.change',
  'report.batch',
] as const;
export type Kind = (typeof KINDS)[number];

export interface Document {
  readonly type: string;
  /** SHA-256, 32 bytes. */
  readonly digest: Uint8Array;
  readonly where: string;
}

/** What only a release claims. */
export interface ReleaseClaims {
  readonly version: string;
  readonly urgency: 'security' | 'functional';
  /** Lowest and highest sequence that the release may be installed over. */
  readonly applies?: readonly [bigint, bigint];
  /** Manifest digest of the waypoint to install first. */
  readonly via?: Uint8Array;
  /** POSIX seconds. */
  readonly supportUntil?: number;
  readonly documents: readonly Document[];
  /** Of a PSK author (T07): a COSE_Mac0 over the SUIT_Digest, at most 256 bytes. */
  readonly mac?: Uint8Array;
}

export interface Claims {
  readonly kind: Kind;
  readonly keyId: Uint8Array;
  readonly issuer: string;
  readonly subject: string;
  /** Hex network id; absent from a test build of a release. */
  readonly network?: string;
  readonly counter: bigint;
  readonly release?: ReleaseClaims;
}

const TYP = /^application\/firmament\.([a-z.]+)\+cbor$/;
const COMMON = [label.ISS, label.SUB, label.AUD, label.COUNTER];
const OF_A_RELEASE = [
  label.VERSION,
  label.KIND,
  label.APPLIES,
  label.VIA,
  label.SUPPORT_UNTIL,
  label.DOCUMENTS,
  label.MAC,
];

/** Errors: STATEMENT_MALFORMED, STATEMENT_KIND_UNKNOWN. */
export function parseClaims(header: ReadonlyMap<Cbor, Cbor>): Claims {
  try {
    return parse(header);
  } catch (cause) {
    if (cause instanceof FirmamentError && cause.code.startsWith('STATEMENT_')) throw cause;
    return fail(
      'STATEMENT_MALFORMED',
      cause instanceof Error ? cause.message : undefined,
      {},
      cause,
    );
  }
}

function parse(header: ReadonlyMap<Cbor, Cbor>): Claims {
  onlyKeys(header, [label.ALG, label.KID, label.CWT_CLAIMS, label.TYP], 'protected header');
  const typ = asText(header.get(label.TYP) ?? null, 'typ', 128);
  const kind = KINDS.find((known) => known === TYP.exec(typ)?.[1]);
  if (kind === undefined) fail('STATEMENT_KIND_UNKNOWN', undefined, { typ });
  const claims = asMap(header.get(label.CWT_CLAIMS) ?? null, 'CWT claims');
  onlyKeys(claims, kind === 'release' ? [...COMMON, ...OF_A_RELEASE] : COMMON, 'CWT claims');
  const network = claims.get(label.AUD);
  return {
    kind,
    keyId: asBytes(header.get(label.KID) ?? null, 'kid', 32),
    issuer: asText(claims.get(label.ISS) ?? null, 'iss', 128),
    subject: asText(claims.get(label.SUB) ?? null, 'sub', 256),
    ...(network !== undefined && { network: asText(network, 'aud', 64) }),
    counter: asUint64(claims.get(label.COUNTER) ?? null, 'counter'),
    ...(kind === 'release' && { release: parseRelease(claims) }),
  };
}

function parseRelease(claims: ReadonlyMap<Cbor, Cbor>): ReleaseClaims {
  const urgency = asText(claims.get(label.KIND) ?? null, 'kind', 16);
  check(
    urgency === 'security' || urgency === 'functional',
    'STATEMENT_MALFORMED',
    'kind is security or functional',
  );
  const applies = claims.get(label.APPLIES);
  const via = claims.get(label.VIA);
  const supportUntil = claims.get(label.SUPPORT_UNTIL);
  const documents = claims.get(label.DOCUMENTS);
  const mac = claims.get(label.MAC);
  return {
    version: printable(asText(claims.get(label.VERSION) ?? null, 'version', 64), 'version'),
    urgency,
    ...(applies !== undefined && { applies: parseApplies(applies) }),
    ...(via !== undefined && { via: asBytes(via, 'via', 32) }),
    ...(supportUntil !== undefined && { supportUntil: asUint(supportUntil, 'supportUntil') }),
    documents: documents === undefined ? [] : parseDocuments(documents),
    ...(mac !== undefined && { mac: asBytes(mac, 'mac', { max: 256 }) }),
  };
}

/** A lowest and a highest sequence. Errors: CBOR_TYPE, STATEMENT_MALFORMED. */
export function parseApplies(value: Cbor): readonly [bigint, bigint] {
  const [low, high] = asArray(value, 'applies', 2);
  const range = [asUint64(low ?? null, 'applies'), asUint64(high ?? null, 'applies')] as const;
  check(range[0] <= range[1], 'STATEMENT_MALFORMED', 'applies runs from low to high');
  return range;
}

function parseDocuments(value: Cbor): readonly Document[] {
  const list = asArray(value, 'documents');
  check(
    list.length >= 1 && list.length <= 16,
    'STATEMENT_MALFORMED',
    '1 to 16 documents, or none named',
  );
  return list.map((entry) => {
    const [type, digest, where] = asArray(entry, 'document', 3);
    return {
      type: printable(asText(type ?? null, 'document type', 32), 'document type'),
      digest: asBytes(digest ?? null, 'document digest', 32),
      where: printable(asText(where ?? null, 'document place', 512), 'document place'),
    };
  });
}

/** Text that is shown to people holds no control characters. Errors: STATEMENT_MALFORMED. */
export function printable(value: string, what: string): string {
  check(
    value.length > 0 && !/\p{C}/u.test(value),
    'STATEMENT_MALFORMED',
    `${what} is empty or holds control characters`,
  );
  return value;
}

/** The protected header of a statement to be signed with `key`. */
export function claimsHeader(
  key: SigningKey,
  claims: Omit<Claims, 'keyId'>,
): ReadonlyMap<Cbor, Cbor> {
  const inner = new Map<Cbor, Cbor>([
    [label.ISS, claims.issuer],
    [label.SUB, claims.subject],
    [label.COUNTER, claims.counter],
  ]);
  if (claims.network !== undefined) inner.set(label.AUD, claims.network);
  const release = claims.release;
  if (release) {
    inner.set(label.VERSION, release.version);
    inner.set(label.KIND, release.urgency);
    if (release.applies) inner.set(label.APPLIES, [...release.applies]);
    if (release.via) inner.set(label.VIA, release.via);
    if (release.supportUntil !== undefined) inner.set(label.SUPPORT_UNTIL, release.supportUntil);
    if (release.documents.length > 0)
      inner.set(
        label.DOCUMENTS,
        release.documents.map(({ type, digest, where }) => [type, digest, where]),
      );
    if (release.mac) inner.set(label.MAC, release.mac);
  }
  return new Map<Cbor, Cbor>([
    [label.ALG, algorithmFor(key.curve)],
    [label.KID, thumbprint(key.publicKey)],
    [label.CWT_CLAIMS, inner],
    [label.TYP, `application/firmament.${claims.kind}+cbor`],
  ]);
}
