/**
 * SUIT reports (draft-ietf-suit-report, labels of -18 and later): what a device did with a
 * manifest, in a COSE_Sign1 whose payload is attached.
 */
import type { Cbor } from '../cbor/value.ts';
import { encode } from '../cbor/encode.ts';
import { openEncrypt0, sealEncrypt0 } from '../cose/encrypt.ts';
import type { SealInput } from '../cose/encrypt.ts';
import { createSign1, decodeSign1, verifySign1 } from '../cose/sign1.ts';
import type { Sign1 } from '../cose/sign1.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { codeOf, fail, FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';
import { capabilitiesToCbor, readCapabilities } from './capabilities.ts';
import type { Capabilities } from './capabilities.ts';
import { digestToCbor, readDigest } from './digest.ts';
import {
  asArray,
  asBytes,
  asInteger,
  asMap,
  asText,
  asUint,
  fields,
  required,
} from './item-read.ts';
import { parseItem } from './item.ts';
import type { Item } from './item.ts';
import { MAX_COMPONENTS } from './manifest.ts';
import { MAX_URI_BYTES, parametersToCbor, readParameters } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import type { ReportEntry, SuitRecord } from './record.ts';

/** Why a run ended without success (suit-report 4.2). */
export const REASON = {
  ok: 0,
  'cbor-parse': 1,
  'cose-unsupported': 2,
  'alg-unsupported': 3,
  unauthorised: 4,
  'command-unsupported': 5,
  'component-unsupported': 6,
  'component-unauthorised': 7,
  'parameter-unsupported': 8,
  'severing-unsupported': 9,
  'condition-failed': 10,
  'operation-failed': 11,
  'invoke-pending': 12,
} as const;

export type Reason = keyof typeof REASON;

export interface Failure {
  /** For people who debug; says nothing between implementations. */
  readonly code: number;
  readonly record: SuitRecord;
  readonly reason: Reason;
}

export interface Report {
  /** The manifest's reference URI; empty when it has none. */
  readonly referenceUri: string;
  /** The SUIT_Digest of the envelope's authentication wrapper, encoded: the release's key. */
  readonly digest: Uint8Array;
  readonly nonce: Uint8Array | undefined;
  readonly records: readonly ReportEntry[];
  readonly result: true | Failure;
  /** What the processor can do; told when it is asked for, or when a manifest wanted more. */
  readonly capabilities?: Capabilities;
}

/** The protected header has what the signer claims beside the report (T25). */
export interface VerifiedReport {
  readonly report: Report;
  readonly header: ReadonlyMap<Cbor, Cbor>;
}

const KEY = {
  nonce: 2,
  records: 3,
  result: 4,
  code: 5,
  record: 6,
  reason: 7,
  capabilities: 8,
  reference: 99,
} as const;
const COMPONENT_ID = 0;

export const MAX_REPORT_BYTES = 1 << 16;
const MAX_ENTRIES = 256;
const MAX_NONCE_BYTES = 64;
const NO_FOREIGN: ReadonlyMap<number, string> = new Map();

export function encodeReport(report: Report): Uint8Array {
  const { referenceUri, digest, nonce, records, result } = report;
  const parsed = readDigest(parseItem(digest, 'report: digest'), 'report: digest');
  const map = new Map<Cbor, Cbor>([
    [KEY.records, records.map(entryToCbor)],
    [KEY.result, result === true ? true : failureToCbor(result)],
    [KEY.reference, [referenceUri, digestToCbor(parsed)]],
  ]);
  if (nonce !== undefined) map.set(KEY.nonce, nonce);
  if (report.capabilities !== undefined)
    map.set(KEY.capabilities, capabilitiesToCbor(report.capabilities));
  return encode(map);
}

function entryToCbor(entry: ReportEntry): Cbor {
  if (entry.kind === 'record') return recordToCbor(entry);
  return new Map<Cbor, Cbor>([
    [COMPONENT_ID, entry.componentId],
    ...parametersToCbor(entry.properties),
  ]);
}

function recordToCbor(record: SuitRecord): Cbor {
  const { manifestId, section, offset, componentIndex, properties } = record;
  return [manifestId, section, offset, componentIndex, parametersToCbor(properties)];
}

function failureToCbor({ code, record, reason }: Failure): Cbor {
  return new Map<Cbor, Cbor>([
    [KEY.code, code],
    [KEY.record, recordToCbor(record)],
    [KEY.reason, REASON[reason]],
  ]);
}

/** A report, signed. `header`: claims for the protected header; alg is added by the key. */
export function createReport(
  report: Report,
  key: PrivateKey,
  header: ReadonlyMap<Cbor, Cbor> = new Map(),
): Uint8Array {
  return createSign1({ header, payload: encodeReport(report), key });
}

/** The same, sealed inside (COSE_Encrypt0): only who has `sealing.key` learns what it says. */
export function createSealedReport(
  report: Report,
  key: PrivateKey,
  sealing: Omit<SealInput, 'plaintext'>,
  header: ReadonlyMap<Cbor, Cbor> = new Map(),
): Uint8Array {
  // suit-report 6: the plaintext is bstr .cbor SUIT_Report.
  const payload = sealEncrypt0({ ...sealing, plaintext: encode(encodeReport(report)) });
  return createSign1({ header, payload, key });
}

/**
 * A report that `key` signed. Whether the key may report, and the header's claims and nonce, are
 * for the caller to judge. `openingKey`: for a sealed one.
 * Errors: COSE_*, CBOR_*, SUIT_REPORT_MALFORMED, CRYPTO_*.
 */
export function verifyReport(
  bytes: Uint8Array,
  key: PublicKey,
  openingKey?: Uint8Array,
): VerifiedReport {
  const sign1 = readSignedReport(bytes);
  verifySign1(sign1, key);
  const payload = sign1.payload as Uint8Array;
  const plain = openingKey === undefined ? payload : openReport(payload, openingKey);
  return { report: parseReport(plain), header: sign1.header };
}

function openReport(payload: Uint8Array, key: Uint8Array): Uint8Array {
  const plain = openEncrypt0(payload, key, { maxBytes: MAX_REPORT_BYTES });
  return asBytes(parseItem(plain, 'sealed report'), 'sealed report').value;
}

/** The COSE_Sign1 of a report, not verified: to find out whose key it names. */
export function readSignedReport(bytes: Uint8Array): Sign1 {
  const sign1 = decodeSign1(bytes, { maxBytes: MAX_REPORT_BYTES });
  if (sign1.payload === null)
    return fail('SUIT_REPORT_MALFORMED', 'a report has its payload attached');
  return sign1;
}

/** Errors: SUIT_REPORT_MALFORMED, with the refusal of its part as the cause. */
export function parseReport(bytes: Uint8Array): Report {
  try {
    return readReport(parseItem(bytes, 'report'));
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    return fail('SUIT_REPORT_MALFORMED', error.message, error.details, error);
  }
}

function readReport(item: Item): Report {
  const known = new Set<number>([
    KEY.nonce,
    KEY.records,
    KEY.result,
    KEY.capabilities,
    KEY.reference,
  ]);
  const members = fields(asMap(item, 'report'), 'report', known, NO_FOREIGN);
  const reference = asArray(required(members, KEY.reference, 'report: reference'), 'reference');
  const [uri, digest] = reference.items;
  if (uri === undefined || digest === undefined || reference.items.length !== 2)
    return fail('SUIT_TYPE', 'report: the reference must be [URI, digest]');
  readDigest(digest, 'report: digest');
  const nonce = members.get(KEY.nonce);
  const capabilities = members.get(KEY.capabilities);
  const records = asArray(required(members, KEY.records, 'report: records'), 'records').items;
  if (records.length > MAX_ENTRIES)
    return fail('SUIT_TOO_LARGE', `report: more than ${MAX_ENTRIES} records`);
  return {
    referenceUri: asText(uri, 'report: reference URI', MAX_URI_BYTES),
    digest: digest.raw,
    nonce:
      nonce === undefined
        ? undefined
        : asBytes(nonce, 'report: nonce', { max: MAX_NONCE_BYTES }).value,
    records: records.map(readEntry),
    result: readResult(required(members, KEY.result, 'report: result')),
    ...(capabilities === undefined ? {} : { capabilities: readCapabilities(capabilities) }),
  };
}

function readEntry(item: Item): ReportEntry {
  if (item.kind === 'array') return readRecord(item);
  const [first, ...rest] = asMap(item, 'report: claims').entries;
  if (first?.[0].kind !== 'integer' || first[0].value !== BigInt(COMPONENT_ID))
    return fail('SUIT_TYPE', `report: claims without a component id at byte ${item.start}`);
  const componentId = asArray(first[1], 'report: component id').items.map(
    (part) => asBytes(part, 'report: component id').value,
  );
  const properties = readProperties({ ...asMap(item, 'claims'), entries: rest });
  return { kind: 'claims', componentId, properties };
}

function readRecord(item: Item): SuitRecord {
  const { items } = asArray(item, 'report: record');
  const [id, section, offset, index, properties] = items;
  if (!id || !section || !offset || !index || !properties || items.length !== 5)
    return fail('SUIT_TYPE', `report: a record has five elements (byte ${item.start})`);
  return {
    kind: 'record',
    manifestId: asArray(id, 'record: manifest id').items.map((each) => asUint(each, 'manifest id')),
    section: asInteger(section, 'record: section'),
    offset: asUint(offset, 'record: offset'),
    componentIndex: asUint(index, 'record: component index'),
    properties: readProperties(properties),
  };
}

function readProperties(item: Item): Parameters {
  if (item.kind === 'map' && item.entries.length === 0) return {};
  const place = {
    what: 'report',
    shared: false,
    nested: true,
    ordering: true,
    componentCount: MAX_COMPONENTS,
  };
  return readParameters(item, place);
}

function readResult(item: Item): true | Failure {
  if (item.kind === 'boolean' && item.value) return true;
  const known = new Set<number>([KEY.code, KEY.record, KEY.reason]);
  const members = fields(asMap(item, 'report: result'), 'report: result', known, new Map());
  const number = asUint(required(members, KEY.reason, 'report: reason'), 'report: reason');
  const reason = (Object.keys(REASON) as Reason[]).find((name) => REASON[name] === number);
  return {
    code: asInteger(required(members, KEY.code, 'report: code'), 'report: code'),
    record: readRecord(required(members, KEY.record, 'report: record')),
    reason: reason ?? fail('SUIT_TYPE', `report: reason ${number} is none of the draft's`),
  };
}

/** Codes of conditions: a device that met one of them decided, it did not break down. */
const CONDITION_CODES: ReadonlySet<Code> = new Set<Code>([
  'SUIT_VENDOR_MISMATCH',
  'SUIT_CLASS_MISMATCH',
  'SUIT_DEVICE_MISMATCH',
  'SUIT_SLOT_MISMATCH',
  'SUIT_IMAGE_MISMATCH',
  'SUIT_CONTENT_MISMATCH',
  'SUIT_EXPIRED',
  'SUIT_BATTERY_LOW',
  'SUIT_NOT_AUTHORIZED',
  'SUIT_VERSION_MISMATCH',
  'SUIT_IMAGE_PRESENT',
  'SUIT_NOT_DEPENDENCY',
  'SUIT_DEPENDENCY_MISMATCH',
  'SUIT_DIGEST_MISSING',
  'SUIT_ABORTED',
  'SUIT_TRY_EACH_EXHAUSTED',
]);

const REASONS: ReadonlyMap<Code, Reason> = new Map<Code, Reason>([
  ['SUIT_COMMAND_UNKNOWN', 'command-unsupported'],
  ['SUIT_COMMAND_UNSUPPORTED', 'command-unsupported'],
  ['SUIT_CAPABILITY_MISSING', 'command-unsupported'],
  ['SUIT_ENCRYPTION_INFO_INVALID', 'cose-unsupported'],
  ['SUIT_PARAMETER_UNKNOWN', 'parameter-unsupported'],
  ['SUIT_PARAMETER_UNSUPPORTED', 'parameter-unsupported'],
  ['SUIT_COMPONENT_UNSUPPORTED', 'component-unsupported'],
  ['SUIT_SEVERED_ABSENT', 'severing-unsupported'],
  ['SUIT_DIGEST_ALGORITHM_UNSUPPORTED', 'alg-unsupported'],
  ['SUIT_UNAUTHENTICATED', 'unauthorised'],
  ['SUIT_SIGNATURE_INVALID', 'unauthorised'],
  ['SUIT_DIGEST_MISMATCH', 'unauthorised'],
  ['SUIT_BLOCK_MALFORMED', 'cose-unsupported'],
  ['SUIT_TRUNCATED', 'cbor-parse'],
  ['SUIT_TRAILING_BYTES', 'cbor-parse'],
  ['SUIT_ENCODING', 'cbor-parse'],
  ['SUIT_TYPE', 'cbor-parse'],
]);

/** The result of a run that ended with this error, as a report states it. */
export function failureOf(error: unknown): Failure {
  const code = codeOf(error);
  const details = error instanceof FirmamentError ? error.details : {};
  const { sectionKey, offset, component, manifest } = details;
  const number = (value: unknown): number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0;
  const reason: Reason =
    code === undefined
      ? 'operation-failed'
      : CONDITION_CODES.has(code)
        ? 'condition-failed'
        : (REASONS.get(code) ?? 'operation-failed');
  return {
    code: REASON[reason],
    reason,
    record: {
      kind: 'record',
      manifestId: typeof manifest === 'string' ? manifest.split('/').map(Number) : [],
      section: number(sectionKey),
      offset: number(offset),
      componentIndex: number(component),
      properties: {},
    },
  };
}
