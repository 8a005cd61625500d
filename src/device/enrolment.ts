/**
 * Enrolment at a gateway, from the device's side (docs/spec/enrolment.md): nothing is sent before the server has shown the
 * root that the bundle names, and nothing but an identity at this gateway is taken from the answer (T29).
 */
import { randomBytes } from 'node:crypto';
import { privateKey } from '#crypto';
import { ENROLMENTS, parseBundle, type EnrolmentRequest } from '../api/enrolment.ts';
import { equal, fromHex, hex, text, utf8 } from '../bytes.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { check, fail, FirmamentError } from '../errors.ts';
import { certificateSha256 } from '../net/authority.ts';
import { createCertificateRequest } from '../net/certificate-request.ts';
import { createClient } from '../net/client.ts';
import { spkiSha256 } from '../net/tls.ts';
import { diskFiles, type Files } from '../reader/files.ts';
import { jsonReader } from './json-fields.ts';
import { readRecord, writeRecord } from './record.ts';

/** What a device says that it is. */
export interface Hardware {
  readonly type: string;
  readonly model: string;
  readonly hardware: string;
}

/** What a device has of the gateway that it is enrolled at. */
export interface Enrolment extends Hardware {
  /** Device id: 32 hex digits. */
  readonly device: string;
  readonly credential:
    | { readonly tier: 'certificate'; readonly key: PrivateKey; readonly certificatePem: string }
    | { readonly tier: 'psk'; readonly psk: Uint8Array };
  readonly rootPem: string;
  /** HOST:PORT each. */
  readonly mqtt: string;
  readonly https: string;
}

export interface EnrolOptions extends Hardware {
  /** The text of the bundle. */
  readonly bundle: string;
  /** The device's own P-256 key; undefined asks for a pre-shared one. */
  readonly key: PrivateKey | undefined;
  readonly name?: string;
  readonly mac?: string;
  readonly timeoutMs?: number;
}

const RECORD = 'enrolment';
const KEY_RECORD = 'enrolment-key';
const FORMAT = 'firmament/device-enrolment/v1';
const CODE = 'ENROLMENT_ANSWER_INVALID';
const MAX_ANSWER = 32_768;
const DEVICE_ID = /^[0-9a-f]{32}$/;
const HASH = /^[0-9a-f]{64}$/;
const ADDRESS = /^[0-9A-Za-z.:[\]-]{1,255}:\d{1,5}$/;
const PEM = /^-----BEGIN CERTIFICATE-----[^]{1,8192}$/;
const LABEL = /^[^\p{C}]{1,64}$/u;
const BUNDLE_FIELDS: readonly string[] = ['g', 'c', 'r', 'm', 'ssid', 'psk'];
const ANSWER_FIELDS: readonly string[] = ['device', 'certificate', 'psk', 'root', 'mqtt', 'https'];

/**
 * Asks the gateway that the bundle names. Errors: ENROLMENT_*, NET_*; NET_SERVER_UNTRUSTED when its root is another;
 * TRUST_UNPROVISIONED when bundle or answer would have a say in what the device trusts (T29).
 */
export async function requestEnrolment(options: EnrolOptions): Promise<Enrolment> {
  const bundle = parseBundle(options.bundle);
  checkUnprovisioned(
    new URLSearchParams(options.bundle.trim().split('?')[1]).keys(),
    BUNDLE_FIELDS,
  );
  const { type, model, hardware, key, name, mac } = options;
  const modelFits = bundle.model === undefined || bundle.model === model;
  check(modelFits, 'ENROLMENT_BUNDLE_INVALID', 'the code is for another model');
  const request: EnrolmentRequest = {
    code: bundle.code,
    ...(key ? { csr: await createCertificateRequest(key, model) } : { tier: 'psk' }),
    type,
    model,
    hardware,
    ...(mac !== undefined && { mac }),
    ...(name !== undefined && { name }),
  };
  const rootHash = fromHex(bundle.rootHash);
  await using client = createClient({ pins: { root: rootHash } });
  const { body } = await client.request({
    method: 'POST',
    url: `https://${bundle.gateway}${ENROLMENTS}`,
    headers: { 'content-type': 'application/json' },
    body: utf8(JSON.stringify(request)),
    maxBytes: MAX_ANSWER,
    timeoutMs: options.timeoutMs ?? 30_000,
  });
  return { type, model, hardware, ...readAnswer(body, rootHash, key) };
}

function readAnswer(
  body: Uint8Array,
  rootHash: Uint8Array,
  key: PrivateKey | undefined,
): Omit<Enrolment, keyof Hardware> {
  const answer = parsedObject(body);
  checkUnprovisioned(Object.keys(answer), ANSWER_FIELDS);
  const json = jsonReader(CODE);
  const device = json.text(answer['device'], 'device', DEVICE_ID);
  const rootPem = json.text(answer['root'], 'root', PEM);
  check(equal(certificateSha256(rootPem), rootHash), CODE, 'another root than the bundle names');
  return {
    device,
    credential: key
      ? certified(json.text(answer['certificate'], 'certificate', PEM), device, key)
      : { tier: 'psk', psk: fromHex(json.text(answer['psk'], 'psk', HASH)) },
    rootPem,
    mqtt: json.text(answer['mqtt'], 'mqtt', ADDRESS),
    https: json.text(answer['https'], 'https', ADDRESS),
  };
}

// docs/spec/mqtt.md, "Identity": the id is of the key, so a certificate for another key shows.
function certified(
  certificatePem: string,
  device: string,
  key: PrivateKey,
): Enrolment['credential'] {
  const id = hex(spkiSha256(certificatePem).subarray(0, 16));
  check(id === device, CODE, 'the certificate is for another key');
  return { tier: 'certificate', key, certificatePem };
}

/** T29: anchors, lines, roots and floors are the maker's; whoever else brings any is refused, not ignored. */
function checkUnprovisioned(names: Iterable<string>, known: readonly string[]): void {
  for (const name of names)
    check(known.includes(name), 'TRUST_UNPROVISIONED', 'a gateway gives an identity, no more', {
      field: name,
    });
}

function parsedObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text(body));
  } catch (cause) {
    if (cause instanceof FirmamentError || cause instanceof SyntaxError)
      return fail(CODE, 'not JSON', {}, cause);
    throw cause;
  }
  check(typeof value === 'object' && value !== null && !Array.isArray(value), CODE, 'no object');
  return value as Readonly<Record<string, unknown>>;
}

/**
 * Enrols the device in `folder` and keeps the outcome there. The key is durable before it is sent, so that an
 * answer that was lost can be asked for again with the same code. Errors: those of `requestEnrolment`, DEVICE_STATE_CORRUPT.
 */
export async function enrolDevice(
  folder: string,
  options: Omit<EnrolOptions, 'key'> & {
    readonly tier?: 'certificate' | 'psk';
    readonly files?: Files;
  },
): Promise<Enrolment> {
  const { files = diskFiles, tier = 'certificate', ...rest } = options;
  await files.makeFolder(folder);
  const key = tier === 'certificate' ? await ownKey(files, folder) : undefined;
  const enrolment = await requestEnrolment({ ...rest, key });
  await writeRecord(files, folder, RECORD, enrolmentToJson(enrolment));
  return enrolment;
}

async function ownKey(files: Files, folder: string): Promise<PrivateKey> {
  const kept = await readRecord(files, folder, KEY_RECORD);
  if (kept !== undefined) return keyFromHex(kept);
  const secret = new Uint8Array(randomBytes(32));
  const key = privateKey('P-256', secret);
  await writeRecord(files, folder, KEY_RECORD, hex(secret));
  return key;
}

/** Errors: DEVICE_NOT_ENROLLED, DEVICE_STATE_CORRUPT. */
export async function openEnrolment(folder: string, files: Files = diskFiles): Promise<Enrolment> {
  const record = await readRecord(files, folder, RECORD);
  return record === undefined ? fail('DEVICE_NOT_ENROLLED') : enrolmentFromJson(record);
}

function enrolmentToJson(enrolment: Enrolment): unknown {
  const { credential, device, type, model, hardware, rootPem, mqtt, https } = enrolment;
  const certified = credential.tier === 'certificate';
  return {
    format: FORMAT,
    device,
    type,
    model,
    hardware,
    key: certified ? hex(credential.key.secret) : null,
    certificate: certified ? credential.certificatePem : null,
    psk: certified ? null : hex(credential.psk),
    root: rootPem,
    mqtt,
    https,
  };
}

const FIELDS = [
  'format',
  'device',
  'type',
  'model',
  'hardware',
  'key',
  'certificate',
  'psk',
  'root',
  'mqtt',
  'https',
];

function enrolmentFromJson(value: unknown): Enrolment {
  const json = jsonReader('DEVICE_STATE_CORRUPT');
  const top = json.object(value, RECORD, FIELDS);
  check(top['format'] === FORMAT, 'DEVICE_STATE_CORRUPT', 'an enrolment of another format');
  return {
    device: json.text(top['device'], 'device', DEVICE_ID),
    type: json.text(top['type'], 'type', LABEL),
    model: json.text(top['model'], 'model', LABEL),
    hardware: json.text(top['hardware'], 'hardware', LABEL),
    credential:
      top['psk'] === null
        ? {
            tier: 'certificate',
            key: keyFromHex(top['key']),
            certificatePem: json.text(top['certificate'], 'certificate', PEM),
          }
        : { tier: 'psk', psk: fromHex(json.text(top['psk'], 'psk', HASH)) },
    rootPem: json.text(top['root'], 'root', PEM),
    mqtt: json.text(top['mqtt'], 'mqtt', ADDRESS),
    https: json.text(top['https'], 'https', ADDRESS),
  };
}

function keyFromHex(value: unknown): PrivateKey {
  const secret = jsonReader('DEVICE_STATE_CORRUPT').text(value, 'key', HASH);
  return privateKey('P-256', fromHex(secret));
}
