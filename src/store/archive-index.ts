/** The first block of an archive: what the others are (docs/spec/archive.md). */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, asText, asUint, onlyKeys } from '../cbor/read.ts';
import type { Cbor } from '../cbor/value.ts';
import { concat } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { lineText, parseLineText, type Line } from '../registry/line.ts';
import { BLOCK_MAX_BYTES, checkCid, CID_BYTES } from './cid.ts';
import { checkLayout, splitDigests, type ImageDescription } from './unixfs.ts';

/** CIDs have 36 bytes. */
export interface ArchiveIndex {
  readonly line: Line;
  /** Manifest digest of the release. */
  readonly release: Uint8Array;
  readonly envelope: Uint8Array;
  /** The update proof, without links. */
  readonly proof: Uint8Array;
  /** Every link of the line from the first on (T02). */
  readonly links: readonly Uint8Array[];
  readonly images: readonly ImageDescription[];
  /** The network's root; nothing believes it. */
  readonly root: Uint8Array;
  /** policy.change statements, oldest first. */
  readonly policies: readonly Uint8Array[];
}

const TYPE = 'firmament/archive/v1';
const MAX_LINKS = 256;
const MAX_IMAGES = 16;
const MAX_POLICIES = 1024;

/** Errors: STORE_BLOCK_TOO_LARGE when it has more images than an archive can have. */
export function encodeIndex(index: ArchiveIndex): Uint8Array {
  const bytes = encode(
    new Map<Cbor, Cbor>([
      [1, TYPE],
      [2, lineText(index.line)],
      [3, index.release],
      [4, index.envelope],
      [5, index.proof],
      [6, [...index.links]],
      [
        7,
        index.images.map(({ digest, size, root, chunks }) => [
          digest,
          size,
          root,
          concat(...chunks),
        ]),
      ],
      [8, index.root],
      [9, [...index.policies]],
    ]),
  );
  check(bytes.length <= BLOCK_MAX_BYTES, 'STORE_BLOCK_TOO_LARGE', 'too many images for an archive');
  return bytes;
}

/** Errors: STORE_ARCHIVE_MALFORMED. */
export function decodeIndex(bytes: Uint8Array): ArchiveIndex {
  try {
    return parse(bytes);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : undefined;
    return fail('STORE_ARCHIVE_MALFORMED', message, {}, cause);
  }
}

function parse(bytes: Uint8Array): ArchiveIndex {
  const map = asMap(decode(bytes, { maxBytes: BLOCK_MAX_BYTES }), 'index');
  onlyKeys(map, [1, 2, 3, 4, 5, 6, 7, 8, 9], 'index');
  check(map.get(1) === TYPE, 'STORE_ARCHIVE_MALFORMED', 'not the index of an archive');
  return {
    line: parseLineText(asText(map.get(2), 'line', 256)),
    release: asBytes(map.get(3), 'manifest digest', 32),
    envelope: cid(map.get(4), 'envelope'),
    proof: cid(map.get(5), 'proof'),
    links: list(map.get(6), 'links', MAX_LINKS).map((link) => cid(link, 'link')),
    images: list(map.get(7), 'images', MAX_IMAGES).map(parseImage),
    root: cid(map.get(8), 'root'),
    policies: list(map.get(9), 'policies', MAX_POLICIES).map((policy) => cid(policy, 'policy')),
  };
}

function parseImage(value: Cbor): ImageDescription {
  const [digest, size, root, chunks] = asArray(value, 'image', 4);
  const bytes = asUint(size, 'size');
  const image = {
    digest: asBytes(digest, 'image digest', 32),
    size: bytes,
    root: cid(root, 'image root'),
    chunks: splitDigests(asBytes(chunks, 'chunks', { max: BLOCK_MAX_BYTES }), bytes),
  };
  checkLayout(image);
  return image;
}

function cid(value: Cbor | undefined, what: string): Uint8Array {
  const bytes = asBytes(value, what, CID_BYTES);
  checkCid(bytes);
  return bytes;
}

function list(value: Cbor | undefined, what: string, max: number): readonly Cbor[] {
  const values = asArray(value, what);
  check(values.length <= max, 'STORE_ARCHIVE_MALFORMED', `more than ${max} ${what}`);
  return values;
}
