/** The conditions (draft 8.4.9): each compares a parameter with the device, and changes nothing. */
import { equal } from '../bytes.ts';
import { FirmamentError } from '../errors.ts';
import type { Code } from '../errors.ts';
import type { Component, ComponentPort, IdentifierKind } from './component-port.ts';
import type { ConditionName } from './label.ts';
import type { Parameters } from './parameters.ts';

/** `failure` undefined: the condition holds. `measured`: what the device said. */
export interface Outcome {
  readonly failure: FirmamentError | undefined;
  readonly measured: Parameters;
}

/**
 * Meets one condition for one component. A condition that does not hold is an outcome, because
 * soft-failure may let it pass; a port that throws is not.
 */
export async function meetCondition(
  name: ConditionName,
  parameters: Parameters,
  component: Component,
  port: ComponentPort,
): Promise<Outcome> {
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
      return imageMatch(parameters, component, port);
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
  port: ComponentPort,
): Promise<Outcome> {
  if (imageDigest === undefined)
    return outcome(false, 'SUIT_DIGEST_MISSING', {}, 'image-match without a digest');
  const { algorithm, bytes } = imageDigest;
  const held = await port.measure(component, algorithm, imageSize);
  if (held === undefined)
    return outcome(false, 'SUIT_IMAGE_MISMATCH', {}, 'the component is empty');
  const measured: Parameters = {
    imageDigest: { algorithm, bytes: held.digest },
    imageSize: held.size,
  };
  const same = equal(held.digest, bytes) && (imageSize === undefined || held.size === imageSize);
  return outcome(same, 'SUIT_IMAGE_MISMATCH', measured);
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
