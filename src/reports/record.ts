/** One device's report as it stands in a batch, salted, and what has to hold of it (T25, docs/spec/report-batch.md). */
import { sha256 } from '#crypto';
import { equal, hex } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asText, asUint } from '../cbor/read.ts';
import { AUD, COUNTER, CWT_CLAIMS, HEAD_SIZE, KID } from '../cose/claims.ts';
import { decodeKey, encodeKey, thumbprint } from '../cose/key.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { leafHash } from '../log/merkle.ts';
import { parseLineText } from '../registry/line.ts';
import { readDigest } from '../suit/digest.ts';
import { parseItem } from '../suit/item.ts';
import { verifyReport, type Report } from '../suit/report.ts';

export const SALT_BYTES = 16;
const MAX_REPORT = 16_384;
export const MAX_RECORD = MAX_REPORT + 1024;

export interface ReportRecord {
  /** Nobody can guess a record, and so find its leaf. */
  readonly salt: Uint8Array;
  /** The report as the device signed it. */
  readonly report: Uint8Array;
  readonly deviceKey: PublicKey;
  /** Of the offer that it answers. */
  readonly nonce: Uint8Array;
  /** Manifest digest. */
  readonly release: Uint8Array;
  /** Text of the line that offered the release: the gateway's word. */
  readonly line: string;
}

export interface CheckedRecord {
  readonly line: string;
  readonly release: string;
  /** Thumbprint of the device's key, hex. */
  readonly keyId: string;
  /** The same for each record of one attempt, whatever batch it is in. */
  readonly attempt: string;
  readonly counter: number;
  readonly report: Report;
}

export function encodeRecord(record: ReportRecord): Uint8Array {
  const { salt, report, deviceKey, nonce, release, line } = record;
  return encode([salt, report, encodeKey(deviceKey), nonce, release, line]);
}

/** Errors: CBOR_*, COSE_*, CRYPTO_*, LINE_MALFORMED. */
export function decodeRecord(bytes: Uint8Array): ReportRecord {
  const row = asArray(decode(bytes, { maxBytes: MAX_RECORD }), 'record', 6);
  const line = asText(row[5] ?? null, 'line', 256);
  parseLineText(line);
  return {
    salt: asBytes(row[0] ?? null, 'salt', SALT_BYTES),
    report: asBytes(row[1] ?? null, 'report', { max: MAX_REPORT }),
    deviceKey: decodeKey(asBytes(row[2] ?? null, 'device key', { max: 256 })),
    nonce: asBytes(row[3] ?? null, 'nonce', 16),
    release: asBytes(row[4] ?? null, 'release', 32),
    line,
  };
}

/** Its leaf in the batch's tree. */
export function recordLeaf(bytes: Uint8Array): Uint8Array {
  return leafHash(sha256(bytes));
}

/** A record that holds: the device signed just this about this release, for this network. Errors: BATCH_RECORD_INVALID. */
export function checkRecord(networkId: Uint8Array, bytes: Uint8Array): CheckedRecord {
  try {
    return checked(networkId, decodeRecord(bytes));
  } catch (cause) {
    if (!(cause instanceof FirmamentError) || cause.code === 'BATCH_RECORD_INVALID') throw cause;
    return fail('BATCH_RECORD_INVALID', `${cause.code}: ${cause.message}`, {}, cause);
  }
}

function checked(networkId: Uint8Array, record: ReportRecord): CheckedRecord {
  const { deviceKey, nonce, release, line } = record;
  const { report, header } = verifyReport(record.report, deviceKey);
  const keyId = thumbprint(deviceKey);
  const named = asBytes(header.get(KID) ?? null, 'kid', 32);
  check(equal(named, keyId), 'BATCH_RECORD_INVALID', 'names another key');
  const claims = asMap(header.get(CWT_CLAIMS) ?? null, 'CWT claims');
  const network = asText(claims.get(AUD) ?? null, 'aud', 64);
  check(network === hex(networkId), 'BATCH_RECORD_INVALID', 'of another network');
  check(
    report.nonce !== undefined && equal(report.nonce, nonce),
    'BATCH_RECORD_INVALID',
    'answers another offer',
  );
  const digest = readDigest(parseItem(report.digest, 'digest'), 'digest').bytes;
  check(equal(digest, release), 'BATCH_RECORD_INVALID', 'about another release');
  asUint(claims.get(HEAD_SIZE) ?? null, 'head size');
  const counter = asUint(claims.get(COUNTER) ?? null, 'counter');
  const device = hex(keyId);
  const attempt = `${device}/${hex(nonce)}`;
  return { line, release: hex(release), keyId: device, attempt, counter, report };
}
