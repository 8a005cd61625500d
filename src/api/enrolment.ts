/** Contract of enrolment at a gateway (docs/spec/enrolment.md): the bundle, the call. */
import { check, fail } from '../errors.ts';

export const ENROLMENTS = '/v1/enrolments';
export const RENEWALS = '/v1/renewals';

export interface EnrolmentBundle {
  /** HOST:PORT of the gateway's HTTPS listener. */
  readonly gateway: string;
  /** 26 characters of base32: 16 random bytes. */
  readonly code: string;
  /** SHA-256 of the gateway's root certificate (DER), hex. */
  readonly rootHash: string;
  readonly model?: string;
  readonly wifi?: { readonly ssid: string; readonly passphrase: string };
}

export interface EnrolmentRequest {
  readonly code: string;
  /** PEM; absent in the PSK tier. */
  readonly csr?: string;
  readonly tier?: 'certificate' | 'psk';
  readonly type: string;
  readonly model: string;
  readonly hardware: string;
  /** A label, nothing more. */
  readonly mac?: string;
  readonly name?: string;
}

export interface EnrolmentAnswer {
  readonly device: string;
  readonly certificate?: string;
  /** Hex; PSK tier only, and only once. */
  readonly psk?: string;
  readonly root: string;
  readonly mqtt: string;
  readonly https: string;
}

/** Bytes of a request's body. */
export const MAX_ENROLMENT = 16_384;
const LABEL = /^[^\p{C}]{1,64}$/u;
const PREFIX = 'firmament-enrol:1?';
const MAX_TEXT = 1024;

export function formatBundle(bundle: EnrolmentBundle): string {
  const query = new URLSearchParams({ g: bundle.gateway, c: bundle.code, r: bundle.rootHash });
  if (bundle.model !== undefined) query.set('m', bundle.model);
  if (bundle.wifi) {
    query.set('ssid', bundle.wifi.ssid);
    query.set('psk', bundle.wifi.passphrase);
  }
  return PREFIX + query.toString();
}

/** Errors: ENROLMENT_BUNDLE_INVALID. */
export function parseBundle(text: string): EnrolmentBundle {
  const trimmed = text.trim();
  check(trimmed.length <= MAX_TEXT && trimmed.startsWith(PREFIX), 'ENROLMENT_BUNDLE_INVALID');
  const query = new URLSearchParams(trimmed.slice(PREFIX.length));
  const field = (key: string, pattern: RegExp): string => {
    const values = query.getAll(key);
    const [value] = values;
    return values.length === 1 && value !== undefined && pattern.test(value)
      ? value
      : fail('ENROLMENT_BUNDLE_INVALID', `"${key}" is missing or not valid`);
  };
  return {
    gateway: field('g', /^[0-9A-Za-z.:[\]-]{1,255}:\d{1,5}$/),
    code: field('c', /^[a-z2-7]{26}$/),
    rootHash: field('r', /^[0-9a-f]{64}$/),
    ...(query.has('m') && { model: field('m', /^[^\p{C}]{1,64}$/u) }),
    ...(query.has('ssid') && {
      wifi: {
        ssid: field('ssid', /^[^\p{C}]{1,32}$/u),
        passphrase: field('psk', /^[^\p{C}]{0,63}$/u),
      },
    }),
  };
}

/** Reads the body of `POST /v1/enrolments`. Errors: NET_REQUEST_INVALID. */
export function readEnrolmentRequest(body: unknown): EnrolmentRequest {
  const { optional, required } = reader(body);
  const csr = optional('csr', /^[^]{1,8192}$/);
  const mac = optional('mac', /^[0-9a-fA-F:.-]{1,32}$/);
  const name = optional('name', LABEL);
  const tier = optional('tier', /^(?:certificate|psk)$/) === 'psk' ? 'psk' : 'certificate';
  check(
    (tier === 'psk') === (csr === undefined),
    'NET_REQUEST_INVALID',
    'a CSR goes with the certificate tier, and only with it',
  );
  return {
    code: required('code', /^[^]{1,64}$/),
    tier,
    type: required('type', LABEL),
    model: required('model', LABEL),
    hardware: required('hardware', LABEL),
    ...(csr !== undefined && { csr }),
    ...(mac !== undefined && { mac }),
    ...(name !== undefined && { name }),
  };
}

/** Reads the body of `POST /v1/renewals`: the CSR, PEM. Errors: NET_REQUEST_INVALID. */
export function readRenewalRequest(body: unknown): string {
  return reader(body).required('csr', /^[^]{1,8192}$/);
}

interface BodyReader {
  readonly optional: (key: string, pattern: RegExp) => string | undefined;
  readonly required: (key: string, pattern: RegExp) => string;
}

function reader(body: unknown): BodyReader {
  check(
    typeof body === 'object' && body !== null && !Array.isArray(body),
    'NET_REQUEST_INVALID',
    'not a JSON object',
  );
  const fields = body as Readonly<Record<string, unknown>>;
  const optional = (key: string, pattern: RegExp): string | undefined => {
    const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (value === undefined) return undefined;
    return typeof value === 'string' && pattern.test(value)
      ? value
      : fail('NET_REQUEST_INVALID', `"${key}" is not valid`);
  };
  return {
    optional,
    required: (key, pattern) =>
      optional(key, pattern) ?? fail('NET_REQUEST_INVALID', `"${key}" is missing`),
  };
}
