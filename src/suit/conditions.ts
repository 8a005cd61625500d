/** The conditions (draft 8.4.9): each compares a parameter with the device, and changes nothing. */
import { hash } from '#crypto';
import { equal } from '../bytes.ts';
import { fail, FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Component, ComponentPort, IdentifierKind, Measurement } from './component-port.ts';
import type { DigestAlgorithm } from './digest.ts';
import { MAX_ENVELOPE_BYTES, parseEnvelope } from './envelope.ts';
import type { ConditionName } from './label.ts';
import type { Parameters } from './parameters.ts';
import { versionMatches } from './version.ts';

/** `failure` undefined: the condition holds. `measured`: what the device said. */
export interface Outcome {
  readonly failure: FirmamentError | undefined;
  readonly measured: Parameters;
}

export interface ConditionContext {
  readonly port: ComponentPort;
  /** Whether the component is one of the manifest's dependencies. */
  readonly isDependency: boolean;
  /** set-version of the dependency, once it has been checked. */
  readonly dependencyVersion: readonly number[] | undefined;
}

/**
 * Meets one condition for one component. A condition that does not hold is an outcome, because
 * soft-failure may let it pass; a port that throws is not.
 */
export async function meetCondition(
  name: Exclude<ConditionName, 'dependency-integrity'>,
  parameters: Parameters,
  component: Component,
  context: ConditionContext,
): Promise<Outcome> {
  const { port } = context;
  switch (name) {
    case 'vendor-identifier': {
      const found = await port.identifiers(component, 'vendor');
      return identifier('vendor', found, parameters.vendorId);
    }
    case 'class-identifier': {
      const found = await port.identifiers(component, 'class');
      return identifier('class', found, parameters.classId);
    }
    case 'device-identifier': {
      const found = await port.identifiers(component, 'device');
      return identifier('device', found, parameters.deviceId);
    }
    case 'image-match':
      return imageMatch(parameters, component, context);
    case 'image-not-match':
      return imageNotMatch(parameters, component, context);
    case 'use-before':
      return useBefore(parameters, port);
    case 'minimum-battery':
      return minimumBattery(parameters, port);
    case 'update-authorized': {
      const { updatePriority } = parameters;
      if (updatePriority === undefined) return missing('update-priority');
      if (port.authorize === undefined) return incapable('nobody who gives leave for updates');
      return outcome(await port.authorize(updatePriority), 'SUIT_NOT_AUTHORIZED', {});
    }
    case 'version':
      return versionIs(parameters, component, context);
    case 'is-dependency':
      return outcome(context.isDependency, 'SUIT_NOT_DEPENDENCY', {});
    case 'component-slot': {
      const wanted = parameters.componentSlot;
      if (wanted === undefined) return missing('component-slot');
      const slot = await port.slot(component);
      const measured = slot === undefined ? {} : { componentSlot: slot };
      return outcome(slot === wanted, 'SUIT_SLOT_MISMATCH', measured);
    }
    case 'check-content': {
      const { content } = parameters;
      if (content === undefined) return missing('content');
      // One byte more than wanted shows a component that holds more.
      const held = await port.read(component, content.length + 1);
      const same = held !== undefined && equalInConstantTime(content, held);
      return outcome(same, 'SUIT_CONTENT_MISMATCH', {});
    }
    case 'abort':
    default:
      return outcome(false, 'SUIT_ABORTED', {});
  }
}

const IDENTIFIERS = {
  vendor: ['SUIT_VENDOR_MISMATCH', 'vendorId'],
  class: ['SUIT_CLASS_MISMATCH', 'classId'],
  device: ['SUIT_DEVICE_MISMATCH', 'deviceId'],
} as const;

function identifier(
  kind: IdentifierKind,
  found: readonly Uint8Array[],
  wanted: Uint8Array | undefined,
): Outcome {
  const [code, parameter] = IDENTIFIERS[kind];
  if (wanted === undefined) return missing(`${kind} identifier`);
  const first = found[0];
  return outcome(
    found.some((id) => equal(id, wanted)),
    code,
    first === undefined ? {} : { [parameter]: first },
  );
}

async function imageMatch(
  { imageDigest, imageSize }: Parameters,
  component: Component,
  context: ConditionContext,
): Promise<Outcome> {
  if (imageDigest === undefined)
    return outcome(false, 'SUIT_DIGEST_MISSING', {}, 'image-match without a digest');
  const { algorithm, bytes } = imageDigest;
  const held = await measure(component, algorithm, imageSize, context);
  if (held === undefined)
    return outcome(false, 'SUIT_IMAGE_MISMATCH', {}, 'the component is empty');
  const measured: Parameters = {
    imageDigest: { algorithm, bytes: held.digest },
    imageSize: held.size,
  };
  const same = equal(held.digest, bytes) && (imageSize === undefined || held.size === imageSize);
  return outcome(same, 'SUIT_IMAGE_MISMATCH', measured);
}

async function imageNotMatch(
  { imageDigest, imageSize }: Parameters,
  component: Component,
  context: ConditionContext,
): Promise<Outcome> {
  if (imageDigest === undefined)
    return outcome(false, 'SUIT_DIGEST_MISSING', {}, 'image-not-match without a digest');
  const { algorithm, bytes } = imageDigest;
  const held = await measure(component, algorithm, imageSize, context);
  if (held === undefined) return outcome(true, 'SUIT_IMAGE_PRESENT', {});
  const measured: Parameters = { imageDigest: { algorithm, bytes: held.digest } };
  return outcome(!equal(held.digest, bytes), 'SUIT_IMAGE_PRESENT', measured);
}

/** trust-domains 5.2.2: the digest of a dependency is that of its manifest, not of its envelope. */
async function measure(
  component: Component,
  algorithm: DigestAlgorithm,
  size: number | undefined,
  { port, isDependency }: ConditionContext,
): Promise<Measurement | undefined> {
  if (!isDependency) return port.measure(component, algorithm, size);
  const bytes = await readEnvelope(component, port);
  if (bytes === undefined) return undefined;
  const { manifestBytes } = parseEnvelope(bytes);
  return { digest: hash(algorithm, manifestBytes), size: bytes.length };
}

/** The envelope that a component holds, or undefined. Errors: SUIT_TOO_LARGE. */
export async function readEnvelope(
  component: Component,
  port: ComponentPort,
): Promise<Uint8Array | undefined> {
  const bytes = await port.read(component, MAX_ENVELOPE_BYTES + 1);
  if (bytes !== undefined && bytes.length > MAX_ENVELOPE_BYTES)
    return fail('SUIT_TOO_LARGE', `an envelope has at most ${MAX_ENVELOPE_BYTES} bytes`);
  return bytes;
}

async function useBefore({ useBefore: until }: Parameters, port: ComponentPort): Promise<Outcome> {
  if (until === undefined) return missing('use-before');
  if (port.now === undefined) return incapable('no clock');
  const now = await port.now();
  return outcome(now < until, 'SUIT_EXPIRED', { useBefore: now });
}

async function minimumBattery(
  { minimumBattery: least }: Parameters,
  port: ComponentPort,
): Promise<Outcome> {
  if (least === undefined) return missing('minimum-battery');
  if (port.battery === undefined) return incapable('no battery gauge');
  const level = await port.battery();
  return outcome(level >= least, 'SUIT_BATTERY_LOW', { minimumBattery: level });
}

async function versionIs(
  { versionMatch }: Parameters,
  component: Component,
  { port, isDependency, dependencyVersion }: ConditionContext,
): Promise<Outcome> {
  if (versionMatch === undefined) return missing('version');
  const version = isDependency ? dependencyVersion : await port.version?.(component);
  if (version === undefined || version.length === 0)
    return incapable('no version of this component');
  const measured: Parameters = { versionMatch: { comparison: 'equal', version } };
  return outcome(versionMatches(versionMatch, version), 'SUIT_VERSION_MISMATCH', measured);
}

/** Draft 8.4.9.3: no early exit that timing would show. */
function equalInConstantTime(wanted: Uint8Array, held: Uint8Array): boolean {
  let residual = wanted.length ^ held.length;
  for (let i = 0; i < wanted.length; i++) residual |= (wanted[i] as number) ^ (held[i] ?? 0);
  return residual === 0;
}

function outcome(holds: boolean, code: Code, measured: Parameters, message?: string): Outcome {
  return { failure: holds ? undefined : new FirmamentError(code, message), measured };
}

function missing(parameter: string): Outcome {
  return outcome(false, 'SUIT_PARAMETER_MISSING', {}, `the ${parameter} parameter is not set`);
}

function incapable(what: string): Outcome {
  return outcome(false, 'SUIT_CAPABILITY_MISSING', {}, `the device has ${what}`);
}
