/** Command parameters (draft 8.4.8): parsed into typed values, and encoded from them. */
import { encode } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { decodeEncrypt } from '../cose/encrypt.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { encodeDigest, readDigest } from './digest.ts';
import type { SuitDigest } from './digest.ts';
import {
  asBoolean,
  asBytes,
  asInteger,
  asMap,
  asText,
  asUint,
  asUint64,
  asWrapped,
} from './item-read.ts';
import type { Item } from './item.ts';
import { FOREIGN, PARAMETER } from './label.ts';
import { readVersionMatch, versionMatchToCbor } from './version.ts';
import type { VersionMatch } from './version.ts';
import { encodeWaitInfo, readWaitInfo } from './wait-info.ts';
import type { WaitEvent } from './wait-info.ts';

export interface Parameters {
  /** A UUID of 16 bytes. */
  readonly vendorId?: Uint8Array;
  /** A UUID of 16 bytes. */
  readonly classId?: Uint8Array;
  /** A UUID of 16 bytes. */
  readonly deviceId?: Uint8Array;
  readonly imageDigest?: SuitDigest;
  /** Bytes. */
  readonly imageSize?: number;
  readonly componentSlot?: number;
  readonly content?: Uint8Array;
  readonly uri?: string;
  /** An index into the manifest's components. */
  readonly sourceComponent?: number;
  readonly invokeArguments?: Uint8Array;
  readonly fetchArguments?: Uint8Array;
  readonly strictOrder?: boolean;
  readonly softFailure?: boolean;
  /** Seconds since 1970, 64 bits. */
  readonly useBefore?: bigint;
  /** A COSE_Encrypt of the profile (cose/encrypt.ts), encoded. */
  readonly encryptionInfo?: Uint8Array;
  /** mWh. */
  readonly minimumBattery?: number;
  /** Smaller: more urgent. */
  readonly updatePriority?: number;
  readonly versionMatch?: VersionMatch;
  readonly waitInfo?: readonly WaitEvent[];
}

export const MAX_URI_BYTES = 2048;
const MAX_ENCRYPTION_INFO_BYTES = 8192;

/** Where a parameter map stands: what may be set there depends on it. */
export interface ParameterPlace {
  readonly what: string;
  readonly shared: boolean;
  /** Inside try-each or run-sequence. */
  readonly nested: boolean;
  /** False: strict-order and soft-failure may not be set, as they are never unset to begin with. */
  readonly ordering: boolean;
  readonly componentCount: number;
}

type Writable = { -readonly [K in keyof Parameters]: Parameters[K] };

const READERS: ReadonlyMap<number, (into: Writable, item: Item, what: string) => void> = new Map<
  number,
  (into: Writable, item: Item, what: string) => void
>([
  [PARAMETER.vendorId, (into, item, what) => (into.vendorId = uuid(item, `${what}: vendor id`))],
  [PARAMETER.classId, (into, item, what) => (into.classId = uuid(item, `${what}: class id`))],
  [PARAMETER.deviceId, (into, item, what) => (into.deviceId = uuid(item, `${what}: device id`))],
  [
    PARAMETER.imageDigest,
    (into, item, what) =>
      (into.imageDigest = readDigest(
        asWrapped(item, `${what}: image digest`),
        `${what}: image digest`,
      )),
  ],
  [
    PARAMETER.imageSize,
    (into, item, what) => (into.imageSize = asUint(item, `${what}: image size`)),
  ],
  [
    PARAMETER.componentSlot,
    (into, item, what) => (into.componentSlot = asUint(item, `${what}: component slot`)),
  ],
  [
    PARAMETER.content,
    (into, item, what) => (into.content = asBytes(item, `${what}: content`).value),
  ],
  [PARAMETER.uri, (into, item, what) => (into.uri = asText(item, `${what}: uri`, MAX_URI_BYTES))],
  [
    PARAMETER.sourceComponent,
    (into, item, what) => (into.sourceComponent = asUint(item, `${what}: source component`)),
  ],
  [
    PARAMETER.invokeArguments,
    (into, item, what) => (into.invokeArguments = asBytes(item, `${what}: invoke arguments`).value),
  ],
  [
    PARAMETER.fetchArguments,
    (into, item, what) => (into.fetchArguments = asBytes(item, `${what}: fetch arguments`).value),
  ],
  [
    PARAMETER.strictOrder,
    (into, item, what) => (into.strictOrder = asBoolean(item, `${what}: strict-order`)),
  ],
  [
    PARAMETER.softFailure,
    (into, item, what) => (into.softFailure = asBoolean(item, `${what}: soft-failure`)),
  ],
  [
    PARAMETER.useBefore,
    (into, item, what) => (into.useBefore = asUint64(item, `${what}: use-before`)),
  ],
  [
    PARAMETER.encryptionInfo,
    (into, item, what) => (into.encryptionInfo = encryptionInfo(item, `${what}: encryption-info`)),
  ],
  [
    PARAMETER.minimumBattery,
    (into, item, what) => (into.minimumBattery = asUint(item, `${what}: minimum-battery`)),
  ],
  [
    PARAMETER.updatePriority,
    (into, item, what) => (into.updatePriority = asInteger(item, `${what}: update-priority`)),
  ],
  [
    PARAMETER.versionMatch,
    (into, item, what) =>
      (into.versionMatch = readVersionMatch(
        asWrapped(item, `${what}: version`),
        `${what}: version`,
      )),
  ],
  [
    PARAMETER.waitInfo,
    (into, item, what) =>
      (into.waitInfo = readWaitInfo(asWrapped(item, `${what}: wait-info`), `${what}: wait-info`)),
  ],
]);

/**
 * The parameters of a parameter map; never empty. Errors: SUIT_PARAMETER_UNKNOWN,
 * SUIT_PARAMETER_UNSUPPORTED, SUIT_CUSTOM_IN_SHARED, SUIT_SOFT_FAILURE_MISPLACED,
 * SUIT_PARAMETER_MISPLACED, SUIT_ENCRYPTION_INFO_INVALID, SUIT_COMPONENT_INDEX_RANGE, SUIT_TYPE.
 */
export function readParameters(item: Item, place: ParameterPlace): Parameters {
  const { what } = place;
  const map = asMap(item, `${what}: parameters`);
  if (map.entries.length === 0)
    return fail('SUIT_TYPE', `${what}: no parameters at byte ${item.start}`, {
      offset: item.start,
    });
  const parameters: Writable = {};
  for (const [key, value] of map.entries) {
    const number = asInteger(key, `${what}: parameter number`);
    const reader = READERS.get(number) ?? refuse(number, key.start, place);
    reader(parameters, value, what);
  }
  const orders = parameters.softFailure !== undefined || parameters.strictOrder !== undefined;
  check(
    !orders || place.ordering,
    'SUIT_PARAMETER_MISPLACED',
    `${what}: strict-order or soft-failure at byte ${item.start}, which only override-parameters sets`,
    { offset: item.start },
  );
  check(
    parameters.softFailure === undefined || place.nested,
    'SUIT_SOFT_FAILURE_MISPLACED',
    `${what}: soft-failure at byte ${item.start} stands outside try-each and run-sequence (draft 8.4.8.15)`,
    { offset: item.start },
  );
  const source = parameters.sourceComponent;
  check(
    source === undefined || source < place.componentCount,
    'SUIT_COMPONENT_INDEX_RANGE',
    `${what}: source component ${source ?? ''} at byte ${item.start} is beyond the ${place.componentCount} components`,
    { offset: item.start },
  );
  return parameters;
}

function refuse(number: number, offset: number, { what, shared }: ParameterPlace): never {
  if (number < 0) {
    check(
      !shared,
      'SUIT_CUSTOM_IN_SHARED',
      `${what}: custom parameter ${number} at byte ${offset} (draft 8.4.8.16)`,
      { offset },
    );
    return fail(
      'SUIT_PARAMETER_UNSUPPORTED',
      `${what}: custom parameter ${number} at byte ${offset} is not supported`,
      { parameter: number, offset },
    );
  }
  const name = FOREIGN.parameter.get(number);
  if (name !== undefined)
    return fail(
      'SUIT_PARAMETER_UNSUPPORTED',
      `${what}: parameter ${name}, ${number} at byte ${offset}, is not supported`,
      { parameter: number, offset },
    );
  return fail('SUIT_PARAMETER_UNKNOWN', `${what}: unknown parameter ${number} at byte ${offset}`, {
    parameter: number,
    offset,
  });
}

/** The structure is checked here, so that nothing runs before it is known to be one of the profile. */
function encryptionInfo(item: Item, what: string): Uint8Array {
  const { value } = asBytes(item, what, { max: MAX_ENCRYPTION_INFO_BYTES });
  readEncryptionInfo(value, `${what} at byte ${item.start}`);
  return value;
}

/** Errors: SUIT_ENCRYPTION_INFO_INVALID, with the refusal of its part as the cause. */
export function readEncryptionInfo(
  bytes: Uint8Array,
  what = 'encryption-info',
): ReturnType<typeof decodeEncrypt> {
  try {
    return decodeEncrypt(bytes, { maxBytes: MAX_ENCRYPTION_INFO_BYTES });
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    return fail('SUIT_ENCRYPTION_INFO_INVALID', `${what}: ${error.message}`, {}, error);
  }
}

function uuid(item: Item, what: string): Uint8Array {
  // Draft 8.4.8.3: tag 112 is a Private Enterprise Number in place of a UUID.
  if (item.kind === 'tag' && item.tag === 112n)
    return fail(
      'SUIT_PARAMETER_UNSUPPORTED',
      `${what} at byte ${item.start}: a Private Enterprise Number (tag 112) is not supported, only a UUID`,
      { offset: item.start },
    );
  return asBytes(item, what, { length: 16 }).value;
}

/** The parameter map as CBOR, for building manifests and for records. */
export function parametersToCbor(parameters: Parameters): ReadonlyMap<Cbor, Cbor> {
  const map = new Map<Cbor, Cbor>();
  const put = (key: number, value: Cbor | undefined): void => {
    if (value !== undefined) map.set(key, value);
  };
  put(PARAMETER.vendorId, parameters.vendorId);
  put(PARAMETER.classId, parameters.classId);
  if (parameters.imageDigest !== undefined)
    put(PARAMETER.imageDigest, encodeDigest(parameters.imageDigest));
  put(PARAMETER.componentSlot, parameters.componentSlot);
  put(PARAMETER.strictOrder, parameters.strictOrder);
  put(PARAMETER.softFailure, parameters.softFailure);
  put(PARAMETER.imageSize, parameters.imageSize);
  put(PARAMETER.content, parameters.content);
  put(PARAMETER.uri, parameters.uri);
  put(PARAMETER.sourceComponent, parameters.sourceComponent);
  put(PARAMETER.invokeArguments, parameters.invokeArguments);
  put(PARAMETER.deviceId, parameters.deviceId);
  put(PARAMETER.fetchArguments, parameters.fetchArguments);
  put(PARAMETER.useBefore, parameters.useBefore);
  put(PARAMETER.encryptionInfo, parameters.encryptionInfo);
  put(PARAMETER.minimumBattery, parameters.minimumBattery);
  put(PARAMETER.updatePriority, parameters.updatePriority);
  if (parameters.versionMatch !== undefined)
    put(PARAMETER.versionMatch, encode(versionMatchToCbor(parameters.versionMatch)));
  if (parameters.waitInfo !== undefined)
    put(PARAMETER.waitInfo, encodeWaitInfo(parameters.waitInfo));
  return map;
}
