/** Encodes manifests and envelopes in the one form that the parser accepts. */
import { concat } from '../bytes.ts';
import { encode, encodeBytesHeader } from '../cbor/encode.ts';
import type { Cbor } from '../cbor/value.ts';
import { check } from '../errors.ts';
import type {
  Command,
  ComponentIndex,
  CopyParams,
  OverrideMultiple,
  Sequence,
} from './commands.ts';
import { suitDigest } from './digest.ts';
import type { DigestAlgorithm, SuitDigest } from './digest.ts';
import { MAX_INTEGRATED_PAYLOADS } from './envelope.ts';
import {
  ACTION,
  COMMON,
  COMPONENT_TEXT,
  CONDITION,
  CONTROL,
  DEPENDENCY,
  ENVELOPE,
  MANIFEST,
  MANIFEST_VERSION,
  PARAMETER,
  SECTION,
  TAG_ENVELOPE,
  TEXT,
} from './label.ts';
import type { SectionName } from './label.ts';
import type { ComponentId } from './manifest.ts';
import { parametersToCbor } from './parameters.ts';
import type { Parameters } from './parameters.ts';
import type { LanguageText } from './text.ts';

/** A command without its place, which only a parsed one has. */
export type CommandInput =
  | { readonly kind: 'condition'; readonly name: keyof typeof CONDITION; readonly policy: number }
  | { readonly kind: 'action'; readonly name: keyof typeof ACTION; readonly policy: number }
  | { readonly kind: 'set-component-index'; readonly index: ComponentIndex }
  | { readonly kind: 'override-parameters' | 'set-parameters'; readonly parameters: Parameters }
  | Pick<OverrideMultiple, 'kind' | 'entries'>
  | Pick<CopyParams, 'kind' | 'entries'>
  | { readonly kind: 'try-each'; readonly sequences: readonly (readonly CommandInput[] | null)[] }
  | { readonly kind: 'run-sequence'; readonly sequence: readonly CommandInput[] };

/** A section or text: its content, or the SUIT_Digest (encoded) of the severed member. */
export type MemberInput = { readonly content: Uint8Array } | { readonly digest: Uint8Array };

export interface ManifestInput {
  readonly sequence: bigint;
  /** The components proper: a dependency with a prefix of its own is numbered on behind them. */
  readonly componentIds: readonly ComponentId[];
  /** By component index: the prefix, or null for one of `componentIds`. */
  readonly dependencies?: ReadonlyMap<number, ComponentId | null>;
  readonly ownComponentId?: ComponentId;
  readonly shared?: readonly CommandInput[];
  readonly sections: ReadonlyMap<SectionName, MemberInput>;
  readonly text?: MemberInput;
  readonly referenceUri?: string;
  readonly version?: readonly number[];
}

export function encodeSequence(sequence: Sequence | readonly CommandInput[]): Uint8Array {
  return encode(sequenceToCbor(sequence));
}

function sequenceToCbor(sequence: readonly (Command | CommandInput)[]): Cbor[] {
  return sequence.flatMap((command): Cbor[] => {
    switch (command.kind) {
      case 'condition':
        return [CONDITION[command.name], command.policy];
      case 'action':
        return [ACTION[command.name], command.policy];
      case 'set-component-index':
        return [CONTROL['set-component-index'], command.index];
      case 'override-parameters':
      case 'set-parameters':
        return [CONTROL[command.kind], parametersToCbor(command.parameters)];
      case 'override-multiple': {
        const entries = command.entries.map(([at, set]) => [at, parametersToCbor(set)] as const);
        return [CONTROL['override-multiple'], new Map(entries)];
      }
      case 'copy-params': {
        const entries = command.entries.map(
          ([at, names]) => [at, names.map((name) => PARAMETER[name])] as const,
        );
        return [CONTROL['copy-params'], new Map(entries)];
      }
      case 'try-each': {
        const sequences = command.sequences.map((each) =>
          each === null ? null : encodeSequence(each),
        );
        return [CONTROL['try-each'], sequences];
      }
      case 'run-sequence':
      default:
        return [CONTROL['run-sequence'], encodeSequence(command.sequence)];
    }
  });
}

/** The content of the text member. */
export function encodeText(languages: readonly LanguageText[]): Uint8Array {
  const map = new Map<Cbor, Cbor>();
  for (const { language, fields, components } of languages) {
    const inner = new Map<Cbor, Cbor>(numbered(fields, TEXT));
    for (const each of components)
      inner.set(each.component, new Map(numbered(each.fields, COMPONENT_TEXT)));
    map.set(language, inner);
  }
  return encode(map);
}

function numbered(
  named: ReadonlyMap<string, string>,
  names: ReadonlyMap<number, string>,
): readonly [Cbor, Cbor][] {
  return [...names].flatMap(([number, name]): [Cbor, Cbor][] => {
    const value = named.get(name);
    return value === undefined ? [] : [[number, value]];
  });
}

/** The manifest's content: `wrap` makes it the byte string that digest and envelope are of. */
export function buildManifest(input: ManifestInput): Uint8Array {
  const common = new Map<Cbor, Cbor>([[COMMON.components, input.componentIds]]);
  if (input.dependencies !== undefined) {
    const entries = [...input.dependencies].map(([index, prefix]) => {
      const metadata = new Map<Cbor, Cbor>();
      if (prefix !== null) metadata.set(DEPENDENCY.prefix, prefix);
      return [index, metadata] as const;
    });
    common.set(COMMON.dependencies, new Map(entries));
  }
  if (input.shared !== undefined) common.set(COMMON.sharedSequence, encodeSequence(input.shared));
  const manifest = new Map<Cbor, Cbor>([
    [MANIFEST.version, MANIFEST_VERSION],
    [MANIFEST.sequenceNumber, input.sequence],
    [MANIFEST.common, encode(common)],
  ]);
  if (input.referenceUri !== undefined) manifest.set(MANIFEST.referenceUri, input.referenceUri);
  if (input.ownComponentId !== undefined) manifest.set(MANIFEST.componentId, input.ownComponentId);
  if (input.version !== undefined) manifest.set(MANIFEST.setVersion, encode(input.version));
  const severedDigests = new Map<number, Uint8Array>();
  const put = (key: number, member: MemberInput): void => {
    if ('content' in member) manifest.set(key, member.content);
    else severedDigests.set(key, member.digest);
  };
  for (const [name, member] of input.sections) put(SECTION[name], member);
  if (input.text !== undefined) put(MANIFEST.text, input.text);
  return encodeWithDigests(manifest, severedDigests);
}

/** Digests are CBOR already; they go in as they are, each at its key's place. */
function encodeWithDigests(
  manifest: ReadonlyMap<Cbor, Cbor>,
  digests: ReadonlyMap<number, Uint8Array>,
): Uint8Array {
  const entries = new Map<number, Uint8Array>(digests);
  for (const [key, value] of manifest) entries.set(key as number, encode(value));
  const sorted = [...entries].toSorted(([a], [b]) => a - b);
  return concat(
    Uint8Array.of(0xa0 | sorted.length),
    ...sorted.flatMap(([key, value]) => [encode(key), value]),
  );
}

/** A byte string with its head. */
export function wrap(content: Uint8Array): Uint8Array {
  return concat(encodeBytesHeader(content.length), content);
}

/** A member cut out of the manifest: its byte string for the envelope, its digest for the manifest. */
export function sever(
  content: Uint8Array,
  algorithm: DigestAlgorithm = 'SHA-256',
): {
  readonly bstr: Uint8Array;
  readonly digest: Uint8Array;
} {
  const bstr = wrap(content);
  return { bstr, digest: suitDigest(bstr, algorithm) };
}

export interface ImageManifestInput {
  /** UUIDs of 16 bytes. */
  readonly vendorId: Uint8Array;
  readonly classId: Uint8Array;
  readonly sequence: bigint;
  readonly componentId: readonly Uint8Array[];
  /** SHA-256 of the image. */
  readonly digest: Uint8Array;
  /** Bytes. */
  readonly size: number;
  readonly uri: string;
  readonly version?: readonly number[];
  readonly text?: readonly LanguageText[];
  readonly referenceUri?: string;
}

const RECORD_ALL = 15;
const RECORD_FAILURE = 2;

/**
 * The manifest's content for one image in one component: download and install, validate, invoke
 * (draft 7.1, 7.3, 7.2). Digest and suitDigest are of `wrap(buildImageManifest(...))`.
 */
export function buildImageManifest(input: ImageManifestInput): Uint8Array {
  const imageDigest: SuitDigest = { algorithm: 'SHA-256', bytes: input.digest };
  const { vendorId, classId, size: imageSize, uri } = input;
  const match: CommandInput = { kind: 'condition', name: 'image-match', policy: RECORD_ALL };
  const section = (...commands: readonly CommandInput[]): MemberInput => ({
    content: encodeSequence(commands),
  });
  return buildManifest({
    sequence: input.sequence,
    componentIds: [input.componentId],
    shared: [
      { kind: 'override-parameters', parameters: { vendorId, classId, imageDigest, imageSize } },
      { kind: 'condition', name: 'vendor-identifier', policy: RECORD_ALL },
      { kind: 'condition', name: 'class-identifier', policy: RECORD_ALL },
    ],
    sections: new Map([
      [
        'install',
        section(
          { kind: 'override-parameters', parameters: { uri } },
          { kind: 'action', name: 'fetch', policy: RECORD_FAILURE },
          match,
        ),
      ],
      ['validate', section(match)],
      ['invoke', section({ kind: 'action', name: 'invoke', policy: RECORD_FAILURE })],
    ]),
    ...(input.text === undefined ? {} : { text: { content: encodeText(input.text) } }),
    ...(input.version === undefined ? {} : { version: input.version }),
    ...(input.referenceUri === undefined ? {} : { referenceUri: input.referenceUri }),
  });
}

export interface EnvelopeInput {
  /** The manifest's byte string, head included. */
  readonly manifest: Uint8Array;
  /** COSE messages over the detached SUIT_Digest, in order. */
  readonly authenticationBlocks: readonly Uint8Array[];
  /** The SUIT_Digest's CBOR; SHA-256 of `manifest` unless given. */
  readonly digest?: Uint8Array;
  /** Byte strings with their heads (`sever`), by number. */
  readonly severed?: ReadonlyMap<number, Uint8Array>;
  readonly integrated?: ReadonlyMap<string, Uint8Array>;
}

/** A tagged envelope. Slices go in as they are: nothing that is signed is encoded anew. */
export function buildEnvelope(input: EnvelopeInput): Uint8Array {
  const digest = input.digest ?? suitDigest(input.manifest);
  const wrapper = encode([digest, ...input.authenticationBlocks]);
  const severed = [...(input.severed ?? [])].toSorted(([a], [b]) => a - b);
  // Entries in order: text keys stand after numbers, and encode() orders them among themselves.
  const integrated = encode(new Map<Cbor, Cbor>(input.integrated ?? []));
  const integratedCount = input.integrated?.size ?? 0;
  check(
    integratedCount <= MAX_INTEGRATED_PAYLOADS,
    'SUIT_TOO_LARGE',
    `an envelope has at most ${MAX_INTEGRATED_PAYLOADS} integrated payloads`,
  );
  return concat(
    Uint8Array.of(0xd8, TAG_ENVELOPE, 0xa0 + 2 + severed.length + integratedCount),
    encode(ENVELOPE.authentication),
    wrap(wrapper),
    encode(ENVELOPE.manifest),
    input.manifest,
    ...severed.flatMap(([key, bstr]) => [encode(key), bstr]),
    integrated.subarray(1),
  );
}
