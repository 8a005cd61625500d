/**
 * The SUIT envelope (draft 8.2), taken apart into the byte slices that signatures and digests
 * cover. Nothing in it is believed yet: `authenticate` decides, on these same slices.
 */
import { check, fail } from '../errors.ts';
import { readDigest } from './digest.ts';
import type { SuitDigest } from './digest.ts';
import { refuseOldDraft } from './draft.ts';
import { asArray, asBytes, asMap, asText, asWrapped, fields, required } from './item-read.ts';
import { parseItem } from './item.ts';
import type { Item, MapItem } from './item.ts';
import { ENVELOPE, FOREIGN, SEVERABLE, TAG_ENVELOPE, TAG_MANIFEST } from './label.ts';
import { MAX_URI_BYTES } from './parameters.ts';

export const MAX_ENVELOPE_BYTES = 1 << 20;
/** Of a manifest or a severed member, with its byte string head (docs/spec/statement.md). */
export const MAX_MANIFEST_BYTES = 1 << 16;
export const MAX_WRAPPER_BYTES = 1 << 17;
export const MAX_AUTHENTICATION_BLOCKS = 8;
export const MAX_INTEGRATED_PAYLOADS = 16;

/** A part of the envelope: a byte string as received, head included, and where it stands. */
export interface Slice {
  readonly raw: Uint8Array;
  readonly content: Uint8Array;
  /** Offset of the first content byte in the envelope. */
  readonly contentOffset: number;
}

export interface Envelope {
  readonly bytes: Uint8Array;
  readonly tagged: boolean;
  /** The SUIT_Digest's CBOR, as it stands in the wrapper: the payload that blocks sign. */
  readonly digest: Uint8Array;
  readonly digestAlgorithm: SuitDigest['algorithm'];
  /** The hash in the digest: a release's name. 32 bytes for SHA-256. */
  readonly digestBytes: Uint8Array;
  /** The CBOR of each block, unread. At most MAX_AUTHENTICATION_BLOCKS. */
  readonly authenticationBlocks: readonly Uint8Array[];
  /** The manifest's byte string, head included: what the digest is of. */
  readonly manifestBytes: Uint8Array;
  readonly manifest: Slice;
  /** Severed members by their number. */
  readonly severed: ReadonlyMap<number, Slice>;
  /** Integrated payloads by their URI. */
  readonly integrated: ReadonlyMap<string, Uint8Array>;
}

/**
 * An envelope in its parts. Without `untagged`, tag 107 must be there. The bytes are copied first:
 * what the caller does to them later changes nothing.
 * Errors: SUIT_* of item.ts; SUIT_UNTAGGED, SUIT_TAG_UNKNOWN, SUIT_DRAFT_OLD, SUIT_KEY_UNKNOWN,
 * SUIT_MEMBER_UNSUPPORTED, SUIT_MEMBER_MISSING, SUIT_WRAPPER_LATE, SUIT_TOO_LARGE,
 * SUIT_BLOCKS_TOO_MANY, SUIT_DIGEST_ALGORITHM_UNSUPPORTED, SUIT_TYPE.
 */
export function parseEnvelope(
  bytes: Uint8Array,
  options: { readonly untagged?: boolean } = {},
): Envelope {
  check(
    bytes.length <= MAX_ENVELOPE_BYTES,
    'SUIT_TOO_LARGE',
    `an envelope has at most ${MAX_ENVELOPE_BYTES} bytes`,
  );
  const own = new Uint8Array(bytes);
  const item = parseItem(own, 'envelope');
  const tagged = item.kind === 'tag';
  check(
    tagged || options.untagged === true,
    'SUIT_UNTAGGED',
    'envelope: tag 107 is missing; an untagged envelope is accepted only when asked for',
  );
  const map = asMap(item.kind === 'tag' ? untag(item.tag, item.content) : item, 'envelope');
  refuseOldDraft(map, 'envelope');

  const { numbered, integrated } = splitKeys(map);
  const known = new Set<number>([ENVELOPE.authentication, ENVELOPE.manifest, ...SEVERABLE.keys()]);
  const members = fields(numbered, 'envelope', known, FOREIGN.envelope);
  const wrapper = required(members, ENVELOPE.authentication, 'envelope: authentication wrapper');
  const manifest = slice(
    required(members, ENVELOPE.manifest, 'envelope: manifest'),
    'envelope: manifest',
  );
  const severed = new Map<number, Slice>();
  for (const [key, name] of SEVERABLE) {
    const member = members.get(key);
    if (member !== undefined) severed.set(key, slice(member, `envelope: ${name}`));
  }
  const { digest, suitDigest, blocks } = readWrapper(wrapper);
  return {
    bytes: own,
    tagged,
    digest,
    digestAlgorithm: suitDigest.algorithm,
    digestBytes: suitDigest.bytes,
    authenticationBlocks: blocks,
    manifestBytes: manifest.raw,
    manifest,
    severed,
    integrated,
  };
}

function untag(tag: bigint, content: Item): Item {
  if (tag === BigInt(TAG_MANIFEST))
    return fail('SUIT_TAG_UNKNOWN', 'tag 1070: a bare manifest, not an envelope');
  check(tag === BigInt(TAG_ENVELOPE), 'SUIT_TAG_UNKNOWN', `tag ${tag} where 107 should be`);
  return content;
}

/** Integrated payloads have text keys, every other member a number. */
function splitKeys(map: MapItem): {
  readonly numbered: MapItem;
  readonly integrated: ReadonlyMap<string, Uint8Array>;
} {
  const integrated = new Map<string, Uint8Array>();
  const numbered: (readonly [Item, Item])[] = [];
  for (const entry of map.entries) {
    const [key, value] = entry;
    if (key.kind !== 'text') {
      numbered.push(entry);
      continue;
    }
    const uri = asText(key, 'envelope: integrated payload key', MAX_URI_BYTES);
    integrated.set(uri, asBytes(value, 'envelope: integrated payload').value);
  }
  check(
    integrated.size <= MAX_INTEGRATED_PAYLOADS,
    'SUIT_TOO_LARGE',
    `envelope: more than ${MAX_INTEGRATED_PAYLOADS} integrated payloads`,
  );
  return { numbered: { ...map, entries: numbered }, integrated };
}

function slice(item: Item, what: string): Slice {
  const { raw, value, contentStart } = asBytes(item, what);
  check(
    raw.length <= MAX_MANIFEST_BYTES,
    'SUIT_TOO_LARGE',
    `${what} at byte ${item.start} has more than ${MAX_MANIFEST_BYTES} bytes`,
    { offset: item.start },
  );
  return { raw, content: value, contentOffset: contentStart };
}

function readWrapper(item: Item): {
  readonly digest: Uint8Array;
  readonly suitDigest: SuitDigest;
  readonly blocks: readonly Uint8Array[];
} {
  const what = 'authentication wrapper';
  const wrapper = asArray(asWrapped(item, what, MAX_WRAPPER_BYTES), what);
  const [first, ...rest] = wrapper.items;
  if (first === undefined)
    return fail('SUIT_MEMBER_MISSING', `${what}: the digest is missing`, { offset: wrapper.start });
  const suitDigest = readDigest(asWrapped(first, `${what}: digest`), `${what}: digest`);
  check(
    rest.length <= MAX_AUTHENTICATION_BLOCKS,
    'SUIT_BLOCKS_TOO_MANY',
    `${what}: ${rest.length} blocks, of which at most ${MAX_AUTHENTICATION_BLOCKS} are tried`,
  );
  const blocks = rest.map((block) => asBytes(block, `${what}: block`).value);
  return { digest: asBytes(first, `${what}: digest`).value, suitDigest, blocks };
}
