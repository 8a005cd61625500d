/** An author asks a node for the records that are sealed to it: how many there are is nobody else's business (T25). */
import { equal } from '../bytes.ts';
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asText, asUint } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { algorithmFor } from '../cose/algorithm.ts';
import { ALG, KID } from '../cose/claims.ts';
import { thumbprint } from '../cose/key.ts';
import { createSign1, decodeSign1, verifySign1 } from '../cose/sign1.ts';
import type { PublicKey, SigningKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';

const TYPE = 'firmament/report-request/v1';
export const MAX_REPORT_REQUEST = 1024;
/** Seconds by which the clocks of author and node may differ. */
export const REQUEST_SKEW = 300;

export interface ReportRequest {
  readonly networkId: Uint8Array;
  /** OPERATOR/NODE that is asked: no other one can pass the request on. */
  readonly node: string;
  readonly author: Uint8Array;
  /** POSIX seconds. */
  readonly time: number;
  /** Number of the last batch that the author has of this node; 0: none. */
  readonly after: number;
}

export function createReportRequest(key: SigningKey, request: ReportRequest): Uint8Array {
  const { networkId, node, author, time, after } = request;
  const header = new Map<Cbor, Cbor>([
    [ALG, algorithmFor(key.curve)],
    [KID, thumbprint(key.publicKey)],
  ]);
  const payload = encode([TYPE, networkId, node, author, time, after]);
  return createSign1({ header, payload, key });
}

/**
 * What the author asks, once it is certain that it does. `keyOf`: its release key in force with this key id.
 * Errors: BATCH_REQUEST_INVALID.
 */
export function verifyReportRequest(
  bytes: Uint8Array,
  here: {
    readonly networkId: Uint8Array;
    readonly node: string;
    readonly now: number;
    readonly keyOf: (author: Uint8Array, keyId: Uint8Array) => PublicKey | undefined;
  },
): ReportRequest {
  try {
    const message = decodeSign1(bytes, { maxBytes: MAX_REPORT_REQUEST });
    const request = parse(message.payload ?? new Uint8Array());
    check(equal(request.networkId, here.networkId), 'BATCH_REQUEST_INVALID', 'another network');
    check(request.node === here.node, 'BATCH_REQUEST_INVALID', 'for another node');
    check(
      Math.abs(request.time - here.now) <= REQUEST_SKEW,
      'BATCH_REQUEST_INVALID',
      'of another time',
    );
    const keyId = asBytes(message.header.get(KID) ?? null, 'kid', 32);
    const key = here.keyOf(request.author, keyId);
    if (!key) return fail('BATCH_REQUEST_INVALID', 'by no key of the author');
    verifySign1(message, key);
    return request;
  } catch (cause) {
    if (!(cause instanceof FirmamentError) || cause.code === 'BATCH_REQUEST_INVALID') throw cause;
    return fail('BATCH_REQUEST_INVALID', cause.message, {}, cause);
  }
}

function parse(payload: Uint8Array): ReportRequest {
  const row = asArray(decode(payload, { maxBytes: MAX_REPORT_REQUEST }), 'request', 6);
  const [type, networkId, node, author, time, after] = row;
  check(type === TYPE, 'BATCH_REQUEST_INVALID', 'not a request for reports');
  return {
    networkId: asBytes(networkId ?? null, 'network', 32),
    node: asText(node ?? null, 'node', 128),
    author: asBytes(author ?? null, 'author', 32),
    time: asUint(time ?? null, 'time'),
    after: asUint(after ?? null, 'after'),
  };
}
