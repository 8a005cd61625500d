/** The directives that act on a component (draft 8.4.10): write, fetch, copy, swap, invoke. */
import { check, fail } from '../errors.ts';
import type { Component, ComponentPort } from './component-port.ts';
import type { ActionName } from './label.ts';
import type { Parameters } from './parameters.ts';

export interface ActionContext {
  readonly port: ComponentPort;
  readonly components: readonly Component[];
  /** Integrated payloads, by URI. */
  readonly integrated: ReadonlyMap<string, Uint8Array>;
  /** The most bytes that a fetch or copy may store when the manifest gives no size. */
  readonly maxImageBytes: number;
}

/**
 * Carries out one action for one component. Errors: SUIT_PARAMETER_MISSING,
 * SUIT_INTEGRATED_MISSING, SUIT_TOO_LARGE, and whatever the port throws.
 */
export async function act(
  name: ActionName,
  parameters: Parameters,
  component: Component,
  context: ActionContext,
): Promise<void> {
  const { port } = context;
  switch (name) {
    case 'write':
      return port.write(component, parameters.content ?? missing('content'));
    case 'fetch':
      return fetchInto(parameters, component, context);
    case 'copy':
      return port.copy(component, sourceOf(parameters, context), bound(parameters, context));
    case 'swap':
      return port.swap(component, sourceOf(parameters, context));
    case 'invoke':
      return port.invoke(component, parameters.invokeArguments);
  }
}

async function fetchInto(
  parameters: Parameters,
  component: Component,
  context: ActionContext,
): Promise<void> {
  const uri = parameters.uri ?? missing('uri');
  const integrated = context.integrated.get(uri);
  if (integrated !== undefined) {
    check(
      integrated.length <= bound(parameters, context),
      'SUIT_TOO_LARGE',
      'an integrated payload larger than the image that the manifest names',
      { uri },
    );
    return context.port.write(component, integrated);
  }
  // Draft 7.5: a URI that is only a fragment names a payload inside the envelope.
  if (uri.startsWith('#'))
    return fail('SUIT_INTEGRATED_MISSING', 'the integrated payload is not in the envelope', {
      uri,
    });
  return context.port.fetch(component, {
    uri,
    maxBytes: bound(parameters, context),
    size: parameters.imageSize,
    digest: parameters.imageDigest,
    arguments: parameters.fetchArguments,
  });
}

function sourceOf(parameters: Parameters, { components }: ActionContext): Component {
  const index = parameters.sourceComponent ?? missing('source-component');
  // The parser has refused an index out of range.
  return components[index] ?? fail('SUIT_COMPONENT_INDEX_RANGE');
}

function bound({ imageSize }: Parameters, { maxImageBytes }: ActionContext): number {
  if (imageSize !== undefined && imageSize > maxImageBytes)
    return fail(
      'SUIT_TOO_LARGE',
      `an image of ${imageSize} bytes; at most ${maxImageBytes} are taken`,
    );
  return imageSize ?? maxImageBytes;
}

function missing(parameter: string): never {
  return fail('SUIT_PARAMETER_MISSING', `the ${parameter} parameter is not set`);
}
