/** Everything in an envelope as plain data for JSON: bytes in hex, integers beyond 2^53 as text. */
import { hex } from '../bytes.ts';
import { Tagged } from '../cbor/value.ts';
import type { Cbor } from '../cbor/value.ts';
import { FirmamentError } from '../errors.ts';
import { checkManifestDigest, manifestOf, readBlocks } from './authenticate.ts';
import type { Block } from './block.ts';
import type { Command, Sequence } from './commands.ts';
import type { SuitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import { identity } from './identity.ts';
import type { Image } from './images.ts';
import type { Manifest, Member } from './manifest.ts';
import type { Parameters } from './parameters.ts';
import type { LanguageText } from './text.ts';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * An envelope's content, whether or not anyone trusts its signer; no signature is checked. A part
 * that is refused stands there as {code, message}. Errors: parseEnvelope's.
 */
export function inspectEnvelope(bytes: Uint8Array): Json {
  const envelope = parseEnvelope(bytes, { untagged: true });
  return {
    tagged: envelope.tagged,
    digest: hex(envelope.digestBytes),
    digestAlgorithm: envelope.digestAlgorithm,
    digestMatches: orRefusal(() => {
      checkManifestDigest(envelope);
      return true;
    }),
    signaturesChecked: false,
    authentication: orRefusal(() => readBlocks(envelope).map(blockJson)),
    manifest: orRefusal(() => manifestJson(manifestOf(envelope))),
    severed: [...envelope.severed].map(([key, { content }]) => ({ key, bytes: content.length })),
    integrated: [...envelope.integrated].map(([uri, payload]) => ({ uri, bytes: payload.length })),
    ...sizes(envelope),
  };
}

function sizes(envelope: Envelope): { readonly [key: string]: Json } {
  return { bytes: envelope.bytes.length, manifestBytes: envelope.manifest.content.length };
}

function orRefusal(read: () => Json): Json {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FirmamentError)) throw error;
    return { code: error.code, message: error.message };
  }
}

function blockJson(block: Block): Json {
  if (block.kind === 'unsupported') return { unsupported: block.why };
  if (block.kind === 'mac0') {
    const { algorithm, header, unprotected, tag } = block.mac0;
    return {
      algorithm,
      protected: cborJson(header),
      unprotected: cborJson(unprotected),
      tag: hex(tag),
    };
  }
  const { sign1, receipts } = block;
  return {
    algorithm: sign1.algorithm,
    protected: cborJson(sign1.header),
    unprotected: cborJson(sign1.unprotected),
    signature: hex(sign1.signature),
    receipts: receipts.length,
  };
}

function manifestJson(manifest: Manifest): Json {
  const { sharedSequence, text } = manifest;
  return {
    sequence: integerJson(manifest.sequence),
    version: manifest.version ?? null,
    referenceUri: manifest.referenceUri ?? null,
    components: manifest.componentIds.map((id) => id.map(hex)),
    identity: orRefusal(() => {
      const { vendorId, classId } = identity(manifest);
      return { vendorId: hex(vendorId), classId: hex(classId) };
    }),
    ...(manifest.dependencies.size === 0
      ? {}
      : {
          dependencies: [...manifest.dependencies],
          dependencyImages: manifest.dependencyImages.map(imageJson),
        }),
    ...(manifest.ownComponentId === undefined
      ? {}
      : { ownComponentId: manifest.ownComponentId.map(hex) }),
    images: manifest.images.map(imageJson),
    sharedSequence: sharedSequence === undefined ? null : sequenceJson(sharedSequence),
    sections: Object.fromEntries(
      [...manifest.sections].map(([name, member]) => [name, memberJson(member, sequenceJson)]),
    ),
    text: text === undefined ? null : memberJson(text, textJson),
  };
}

function imageJson({ componentIndex, algorithm, digest, size, uri, encrypted }: Image): Json {
  return {
    componentIndex,
    algorithm,
    digest: hex(digest),
    size: size ?? null,
    uri: uri ?? null,
    ...(encrypted ? { encrypted } : {}),
  };
}

function memberJson<T>(member: Member<T>, json: (value: T) => Json): Json {
  if (member.state === 'absent') return { state: 'absent', digest: digestJson(member.digest) };
  return { state: member.state, content: json(member.value) };
}

function sequenceJson(sequence: Sequence): Json {
  return sequence.map(commandJson);
}

function commandJson(command: Command): Json {
  const { offset } = command;
  switch (command.kind) {
    case 'condition':
      return { offset, condition: command.name, policy: command.policy };
    case 'action':
      return { offset, directive: command.name, policy: command.policy };
    case 'set-component-index':
      return { offset, directive: command.kind, index: command.index };
    case 'override-parameters':
    case 'set-parameters':
      return { offset, directive: command.kind, parameters: parametersJson(command.parameters) };
    case 'override-multiple': {
      const entries = command.entries.map(([at, set]) => [at, parametersJson(set)] as const);
      return { offset, directive: command.kind, components: Object.fromEntries(entries) };
    }
    case 'copy-params':
      return { offset, directive: command.kind, components: Object.fromEntries(command.entries) };
    case 'try-each': {
      const sequences = command.sequences.map((each) =>
        each === null ? null : sequenceJson(each),
      );
      return { offset, directive: command.kind, sequences };
    }
    case 'run-sequence':
    default:
      return { offset, directive: command.kind, sequence: sequenceJson(command.sequence) };
  }
}

/** Parameters as `inspect` prints them and `create` reads them. */
export function parametersJson(parameters: Parameters): { readonly [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, plainJson(value as Plain)]),
  );
}

type Plain =
  | Uint8Array
  | bigint
  | string
  | number
  | boolean
  | readonly Plain[]
  | { readonly [key: string]: Plain };

function plainJson(value: Plain): Json {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return integerJson(value);
  if (Array.isArray(value)) return (value as readonly Plain[]).map(plainJson);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plainJson(each)]));
}

function digestJson({ algorithm, bytes }: SuitDigest): Json {
  return { algorithm, bytes: hex(bytes) };
}

function textJson(languages: readonly LanguageText[]): Json {
  return languages.map(({ language, fields, components }) => ({
    language,
    ...Object.fromEntries(fields),
    components: components.map((each) => ({
      component: each.component.map(hex),
      ...Object.fromEntries(each.fields),
    })),
  }));
}

/** Safe integers as numbers, larger ones as decimal text: JSON readers would round them. */
export function integerJson(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** Map keys that are no text become their JSON. */
function cborJson(value: Cbor): Json {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return integerJson(value);
  if (value instanceof Tagged) return { tag: value.tag, value: cborJson(value.value) };
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<Cbor, Cbor>)].map(([key, each]) => {
      const name = typeof key === 'string' ? key : JSON.stringify(cborJson(key));
      return [name, cborJson(each)] as const;
    });
    return Object.fromEntries(entries);
  }
  if (Array.isArray(value)) return (value as readonly Cbor[]).map(cborJson);
  return value as string | number | boolean | null;
}
