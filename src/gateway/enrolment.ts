/** How a device becomes one of this gateway's: a code of the owner's, and a key of its own (T29). */
import type { EnrolmentAnswer, EnrolmentRequest } from '../api/enrolment.ts';
import { equal, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check, codeOf, fail } from '../errors.ts';
import { readCertificateRequest, type CertificateRequest } from '../net/authority.ts';
import type { Random } from '../random.ts';
import { deviceIdOf, type Authority } from './authority.ts';
import type { Devices, NewDevice } from './devices.ts';
import type { EnrolmentCodes } from './enrolment-codes.ts';

export interface EnrolmentParts {
  readonly authority: Authority;
  readonly codes: EnrolmentCodes;
  readonly devices: Devices;
  readonly clock: Clock;
  readonly random: Random;
  /** HOST:PORT where devices find the gateway. */
  readonly addresses: { readonly mqtt: string; readonly https: string };
  /** Told of each device that was enrolled. */
  readonly onEnrolled?: (device: string) => void;
}

const PSK_BYTES = 32;
const ID_BYTES = 16;

/**
 * Spends the code on the request's key. The same code and key again get the same certificate; a pre-shared key is
 * given once. Errors: ENROLMENT_*.
 */
export async function enrol(
  parts: EnrolmentParts,
  request: EnrolmentRequest,
  vendorClaim: string | null,
): Promise<EnrolmentAnswer> {
  return request.csr === undefined
    ? enrolWithPsk(parts, request, vendorClaim)
    : enrolWithKey(parts, request, request.csr, vendorClaim);
}

async function enrolWithKey(
  parts: EnrolmentParts,
  request: EnrolmentRequest,
  csr: string,
  vendorClaim: string | null,
): Promise<EnrolmentAnswer> {
  const { codes, authority, devices, clock } = parts;
  const { code, model } = request;
  // Whoever has no code learns nothing and costs nothing.
  if (!codes.spent(code)) codes.need(code, model);
  const asked = await readRequest(csr);
  const before = givenBefore(parts, code, asked);
  if (before) return before;
  codes.need(code, model);
  const device = deviceIdOf(asked.spkiSha256);
  const certificate = await authority.issue(asked);
  try {
    codes.spend(code, model, { device, spkiSha256: asked.spkiSha256, certificate }, () =>
      devices.add(
        newDevice(request, device, 'certificate', vendorClaim),
        { spki: asked.spkiSha256, point: asked.spki.slice(-64) },
        clock(),
      ),
    );
  } catch (error) {
    // The same request may have come twice at once.
    const first = codeOf(error) === 'ENROLMENT_CODE_INVALID' && givenBefore(parts, code, asked);
    if (first) return first;
    throw error;
  }
  parts.onEnrolled?.(device);
  return answer(parts, { device, certificate });
}

function enrolWithPsk(
  parts: EnrolmentParts,
  request: EnrolmentRequest,
  vendorClaim: string | null,
): EnrolmentAnswer {
  const { codes, devices, clock, random } = parts;
  const device = hex(random(ID_BYTES));
  const psk = random(PSK_BYTES);
  codes.spend(request.code, request.model, { device, spkiSha256: null, certificate: null }, () =>
    devices.add(newDevice(request, device, 'psk', vendorClaim), { psk }, clock()),
  );
  parts.onEnrolled?.(device);
  return answer(parts, { device, psk: hex(psk) });
}

/** A new certificate for the key that the caller proved in the handshake. Errors: GATEWAY_DEVICE_UNKNOWN, ENROLMENT_*. */
export async function renew(
  parts: EnrolmentParts,
  spkiSha256: Uint8Array | undefined,
  csr: string,
): Promise<EnrolmentAnswer> {
  const { authority, devices } = parts;
  const device = spkiSha256 && activeDevice(devices, spkiSha256);
  if (!device) return fail('GATEWAY_DEVICE_UNKNOWN');
  const asked = await readRequest(csr);
  check(equal(asked.spkiSha256, spkiSha256), 'ENROLMENT_CSR_INVALID', 'the CSR has another key');
  return answer(parts, { device, certificate: await authority.issue(asked) });
}

/** The active device of the certificate tier that holds this key; undefined for anyone else. */
export function activeDevice(devices: Devices, spkiSha256: Uint8Array): string | undefined {
  const id = deviceIdOf(spkiSha256);
  const enrolled = devices.spki(id);
  if (!enrolled || !equal(enrolled, spkiSha256)) return undefined;
  return devices.get(id)?.status === 'active' ? id : undefined;
}

function givenBefore(
  parts: EnrolmentParts,
  code: string,
  { spkiSha256 }: CertificateRequest,
): EnrolmentAnswer | undefined {
  const spent = parts.codes.spent(code);
  if (!spent?.spkiSha256 || !spent.certificate) return undefined;
  if (!equal(spent.spkiSha256, spkiSha256)) return undefined;
  return answer(parts, { device: spent.device, certificate: spent.certificate });
}

async function readRequest(csr: string): Promise<CertificateRequest> {
  try {
    return await readCertificateRequest(csr);
  } catch (cause) {
    const unsupported = codeOf(cause) === 'NET_KEY_UNSUPPORTED';
    return fail(
      unsupported ? 'ENROLMENT_KEY_UNSUPPORTED' : 'ENROLMENT_CSR_INVALID',
      undefined,
      {},
      cause,
    );
  }
}

function newDevice(
  { name, type, model, hardware, mac }: EnrolmentRequest,
  id: string,
  tier: NewDevice['tier'],
  vendorClaim: string | null,
): NewDevice {
  return {
    id,
    tier,
    name: name ?? id.slice(0, 8),
    type,
    model,
    hardware,
    mac: mac ?? null,
    vendorClaim,
  };
}

function answer(
  { authority, addresses }: EnrolmentParts,
  given: Pick<EnrolmentAnswer, 'device' | 'certificate' | 'psk'>,
): EnrolmentAnswer {
  return { ...given, root: authority.rootPem, ...addresses };
}
