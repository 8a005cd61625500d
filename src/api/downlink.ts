/** Contract between gateway and device over MQTT (docs/spec/mqtt.md): topics and payloads. */
import { check, fail } from '../errors.ts';

export const OFFER_MODES = ['force', 'self'] as const;
export const STATES = [
  'accepted',
  'downloading',
  'installing',
  'installed',
  'rolled-back',
  'refused',
  'postponed',
] as const;
export type OfferMode = (typeof OFFER_MODES)[number];
export type AttemptState = (typeof STATES)[number];
export type Channel = 'offer' | 'time' | 'hello' | 'ask' | 'status' | 'report';

export interface Offer {
  readonly offer: string;
  readonly mode: OfferMode;
  readonly line: string;
  readonly digest: string;
  /** Decimal. */
  readonly sequence: string;
  readonly version: string;
  readonly urgency: 'security' | 'functional';
  readonly size: number;
  readonly sha256: string;
  readonly nonce: string;
  readonly proof: string;
  readonly envelope: string;
  readonly image: string;
  /** POSIX seconds, by the gateway's clock. */
  readonly time: number;
}

/** What a device runs. `digest` and `sha256` are empty before its first release. */
export interface Hello {
  readonly type: string;
  readonly model: string;
  readonly hardware: string;
  readonly digest: string;
  readonly sequence: string;
  readonly version: string;
  readonly sha256: string;
  /** Percent; absent with mains. */
  readonly battery?: number;
}

export interface AttemptStatus {
  readonly offer: string;
  readonly state: AttemptState;
  readonly detail: string;
  readonly done: number;
  readonly total: number;
}

export interface GatewayTime {
  readonly time: number;
  readonly synchronised: boolean;
}

export const MAX_PACKET = 65_536;
const MAX_PAYLOAD = 8_192;
const DEVICE_ID = /^[0-9a-f]{32}$/;
const TOPIC = /^firmament\/v1\/([0-9a-f]{32})\/(offer|time|hello|ask|status|report)$/;

export function topic(device: string, channel: Channel): string {
  check(DEVICE_ID.test(device), 'DOWNLINK_MALFORMED', 'not a device id');
  return `firmament/v1/${device}/${channel}`;
}

/** Undefined for a topic that is none of ours. */
export function parseTopic(
  text: string,
): { readonly device: string; readonly channel: Channel } | undefined {
  const match = TOPIC.exec(text);
  return match ? { device: match[1] as string, channel: match[2] as Channel } : undefined;
}

/** One line, keys in the order of the object: what docs/spec/mqtt.md promises to `sed`. */
export function encodePayload(value: Offer | Hello | AttemptStatus | GatewayTime): string {
  return JSON.stringify(value);
}

/** Errors: DOWNLINK_MALFORMED. */
export function decodeOffer(text: string): Offer {
  const read = fields(text);
  return {
    offer: read.text('offer', /^[0-9a-f]{32}$/),
    mode: read.choice('mode', OFFER_MODES),
    line: read.text('line', /^[0-9a-z./-]{1,256}$/),
    digest: read.text('digest', HASH),
    sequence: read.text('sequence', DECIMAL),
    version: read.text('version', LABEL),
    urgency: read.choice('urgency', ['security', 'functional']),
    size: read.uint('size'),
    sha256: read.text('sha256', HASH),
    nonce: read.text('nonce', /^[0-9a-f]{32}$/),
    proof: read.text('proof', PATH),
    envelope: read.text('envelope', PATH),
    image: read.text('image', PATH),
    time: read.uint('time'),
  };
}

/** Errors: DOWNLINK_MALFORMED. */
export function decodeHello(text: string): Hello {
  const read = fields(text);
  const battery = read.optional('battery');
  return {
    type: read.text('type', LABEL),
    model: read.text('model', LABEL),
    hardware: read.text('hardware', LABEL),
    digest: read.text('digest', HASH_OR_EMPTY),
    sequence: read.text('sequence', DECIMAL),
    version: read.text('version', /^[^\p{C}]{0,64}$/u),
    sha256: read.text('sha256', HASH_OR_EMPTY),
    ...(battery !== undefined && { battery: Math.min(read.uint('battery'), 100) }),
  };
}

/** Errors: DOWNLINK_MALFORMED. */
export function decodeStatus(text: string): AttemptStatus {
  const read = fields(text);
  return {
    offer: read.text('offer', /^[0-9a-f]{32}$/),
    state: read.choice('state', STATES),
    detail: read.text('detail', /^[^\p{C}]{0,256}$/u),
    done: read.uint('done'),
    total: read.uint('total'),
  };
}

/** Errors: DOWNLINK_MALFORMED. */
export function decodeTime(text: string): GatewayTime {
  const read = fields(text);
  return { time: read.uint('time'), synchronised: read.optional('synchronised') === true };
}

const HASH = /^[0-9a-f]{64}$/;
const HASH_OR_EMPTY = /^(?:[0-9a-f]{64})?$/;
const DECIMAL = /^(?:0|[1-9]\d{0,19})$/;
const LABEL = /^[^\p{C}]{1,64}$/u;
const PATH = /^\/[0-9A-Za-z/._?=&%-]{1,511}$/;

interface Reader {
  text(key: string, pattern: RegExp): string;
  uint(key: string): number;
  choice<const T extends string>(key: string, options: readonly T[]): T;
  optional(key: string): unknown;
}

function fields(text: string): Reader {
  const value = parsed(text);
  const optional = (key: string): unknown => (Object.hasOwn(value, key) ? value[key] : undefined);
  const malformed = (key: string): never =>
    fail('DOWNLINK_MALFORMED', `"${key}" is missing or not valid`);
  return {
    optional,
    text(key, pattern) {
      const field = optional(key);
      return typeof field === 'string' && pattern.test(field) ? field : malformed(key);
    },
    uint(key) {
      const field = optional(key);
      return Number.isSafeInteger(field) && (field as number) >= 0
        ? (field as number)
        : malformed(key);
    },
    choice(key, options) {
      return options.find((option) => option === optional(key)) ?? malformed(key);
    },
  };
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  check(text.length <= MAX_PAYLOAD, 'DOWNLINK_MALFORMED', 'payload too large');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return fail('DOWNLINK_MALFORMED', 'not JSON', {}, cause);
  }
  check(
    typeof value === 'object' && value !== null && !Array.isArray(value),
    'DOWNLINK_MALFORMED',
    'not a JSON object',
  );
  return value as Readonly<Record<string, unknown>>;
}
