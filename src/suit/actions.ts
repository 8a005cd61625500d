/** The directives that act on a component (draft 8.4.10): write, fetch, copy, swap, invoke, wait, unlink. */
import type { DecryptionKey } from '../cose/recipient.ts';
import { check, fail } from '../errors.ts';
import type { Component, ComponentPort, ComponentStreams, FetchRequest } from './component-port.ts';
import { beginDecryption, decryptPieces, decryptWhole } from './decrypt.ts';
import type { ActionName } from './label.ts';
import type { Parameters } from './parameters.ts';
import { awaitEvents } from './wait.ts';

export interface ActionContext {
  readonly port: ComponentPort;
  /** The most bytes that a fetch or copy may store when the manifest gives no size. */
  readonly maxImageBytes: number;
  readonly decryptionKeys: readonly DecryptionKey[];
}

/** One action for one component. */
export interface Action {
  readonly name: Exclude<ActionName, 'process-dependency'>;
  readonly parameters: Parameters;
  readonly component: Component;
  /** The component that source-component names. */
  readonly source: Component | undefined;
  /** Integrated payloads of the manifest's envelope, by URI. */
  readonly integrated: ReadonlyMap<string, Uint8Array>;
  /** Of the manifest that acts. */
  readonly manifestDigest: Uint8Array;
}

/**
 * Carries out one action. Result: whether a text was decrypted and stored that neither a tag nor the
 * manifest's signature proves. Errors: SUIT_PARAMETER_MISSING, SUIT_INTEGRATED_MISSING,
 * SUIT_TOO_LARGE, SUIT_CAPABILITY_MISSING, SUIT_DECRYPTION_FAILED, SUIT_WAITING, and the port's.
 */
export async function act(action: Action, context: ActionContext): Promise<boolean> {
  const { parameters, component } = action;
  const { port } = context;
  switch (action.name) {
    case 'write':
      await write(action, context);
      return false;
    case 'fetch':
      return fetchInto(action, context);
    case 'copy':
      return copy(action, context);
    case 'swap':
      await port.swap(component, action.source ?? missing('source-component'));
      return false;
    case 'wait':
      await awaitEvents(parameters.waitInfo ?? missing('wait-info'), port);
      return false;
    case 'unlink':
      if (port.unlink === undefined)
        return fail('SUIT_CAPABILITY_MISSING', 'the device does not count what needs a component');
      await port.unlink(component, action.manifestDigest);
      return false;
    case 'invoke':
    default:
      await port.invoke(component, parameters.invokeArguments);
      return false;
  }
}

/** The content stands in the manifest: what decrypts to more than it, or to less, was signed so. */
async function write({ parameters, component }: Action, context: ActionContext): Promise<void> {
  const content = parameters.content ?? missing('content');
  const { encryptionInfo } = parameters;
  const plain =
    encryptionInfo === undefined
      ? content
      : decryptWhole(beginDecryption(encryptionInfo, context.decryptionKeys), content);
  await context.port.write(component, plain);
}

async function copy(action: Action, context: ActionContext): Promise<boolean> {
  const { parameters, component, source = missing('source-component') } = action;
  const maxBytes = bound(parameters, context);
  const { encryptionInfo } = parameters;
  if (encryptionInfo === undefined) {
    await context.port.copy(component, source, maxBytes);
    return false;
  }
  const streams = streamsOf(context);
  const decryption = beginDecryption(encryptionInfo, context.decryptionKeys);
  const pieces = decryptPieces(decryption, streams.contents(source), maxBytes);
  await streams.store(component, pieces);
  return !decryption.authenticates;
}

async function fetchInto(action: Action, context: ActionContext): Promise<boolean> {
  const { parameters, component, integrated } = action;
  const uri = parameters.uri ?? missing('uri');
  const maxBytes = bound(parameters, context);
  const { encryptionInfo } = parameters;
  const decryption =
    encryptionInfo === undefined
      ? undefined
      : beginDecryption(encryptionInfo, context.decryptionKeys);
  const payload = integrated.get(uri);
  if (payload !== undefined) {
    const plain = decryption === undefined ? payload : decryptWhole(decryption, payload);
    check(
      plain.length <= maxBytes,
      'SUIT_TOO_LARGE',
      'an integrated payload larger than the image that the manifest names',
      { uri },
    );
    await context.port.write(component, plain);
    return decryption?.authenticates === false;
  }
  // Draft 7.5: a URI that is only a fragment names a payload inside the envelope.
  if (uri.startsWith('#'))
    return fail('SUIT_INTEGRATED_MISSING', 'the integrated payload is not in the envelope', {
      uri,
    });
  const request: FetchRequest = {
    uri,
    maxBytes,
    size: parameters.imageSize,
    digest: parameters.imageDigest,
    arguments: parameters.fetchArguments,
  };
  if (decryption === undefined) {
    await context.port.fetch(component, request);
    return false;
  }
  const streams = streamsOf(context);
  await streams.store(
    component,
    decryptPieces(decryption, streams.open(component, request), maxBytes),
  );
  return !decryption.authenticates;
}

function streamsOf({ port }: ActionContext): ComponentStreams {
  return port.streams ?? fail('SUIT_CAPABILITY_MISSING', 'the device cannot decrypt in pieces');
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
