/**
 * CAR v1 (ipld.io/specs/transport/car/carv1): blocks one after the other in one stream, each under its CID. Only the
 * CIDs of this store (cid.ts) are read; every block is verified. See docs/spec/archive.md.
 */
import { decode } from '../cbor/decode.ts';
import { encode } from '../cbor/encode.ts';
import { asArray, asBytes, asMap, onlyKeys } from '../cbor/read.ts';
import { Tagged, type Cbor } from '../cbor/value.ts';
import { concat } from '../bytes.ts';
import { check, codeOf, fail } from '../errors.ts';
import { BLOCK_MAX_BYTES, checkCid, CID_BYTES, verifyBlock } from './cid.ts';
import type { Block, ByteSource } from './unixfs.ts';

export interface CarBlock extends Block {
  /** Where its bytes begin in the stream. */
  readonly offset: number;
}

export interface Car {
  readonly roots: readonly Uint8Array[];
  /** To be read once. Its bytes are not touched again. Errors: STORE_CAR_MALFORMED, STORE_DIGEST_MISMATCH. */
  readonly blocks: AsyncGenerator<CarBlock, void, undefined>;
}

const MAX_HEADER = 4096;
const MAX_ROOTS = 64;
/** dag-cbor's tag of a link: 00 (the identity multibase), then the CID. */
const LINK = 42;
const MAX_VARINT_BYTES = 4;

/** The stream's bytes, block by block. Errors: STORE_CID_INVALID, STORE_BLOCK_TOO_LARGE, STORE_DIGEST_MISMATCH. */
export async function* writeCar(
  roots: readonly Uint8Array[],
  blocks: Iterable<Block> | AsyncIterable<Block>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const root of roots) checkCid(root);
  check(roots.length >= 1 && roots.length <= MAX_ROOTS, 'STORE_CAR_MALFORMED', '1 to 64 roots');
  const header = encode(
    new Map<Cbor, Cbor>([
      ['roots', roots.map((root) => new Tagged(LINK, concat(Uint8Array.of(0), root)))],
      ['version', 1],
    ]),
  );
  yield concat(varint(header.length), header);
  for await (const { cid, bytes } of blocks) {
    verifyBlock(cid, bytes);
    yield concat(varint(CID_BYTES + bytes.length), cid);
    yield bytes;
  }
}

/** Reads the header; blocks follow as they are asked for. Errors: STORE_CAR_MALFORMED. */
export async function readCar(source: ByteSource): Promise<Car> {
  const reader = new Reader(source);
  const length = await readLength(reader, MAX_HEADER);
  check(length !== undefined, 'STORE_CAR_MALFORMED', 'an empty file');
  return { roots: parseHeader(await reader.take(length)), blocks: readBlocks(reader) };
}

function parseHeader(bytes: Uint8Array): readonly Uint8Array[] {
  try {
    const header = asMap(decode(bytes, { maxBytes: MAX_HEADER, tags: [LINK] }), 'CAR header');
    onlyKeys(header, ['roots', 'version'], 'CAR header');
    check(header.get('version') === 1, 'STORE_CAR_MALFORMED', 'not version 1');
    const roots = asArray(header.get('roots'), 'roots');
    check(roots.length >= 1 && roots.length <= MAX_ROOTS, 'STORE_CAR_MALFORMED', '1 to 64 roots');
    return roots.map((root) => {
      check(root instanceof Tagged && root.tag === LINK, 'STORE_CAR_MALFORMED', 'not a link');
      const link = asBytes(root.value, 'link', 1 + CID_BYTES);
      check(link[0] === 0, 'STORE_CAR_MALFORMED', 'not a link');
      checkCid(link.subarray(1));
      return link.slice(1);
    });
  } catch (cause) {
    return malformed(cause);
  }
}

async function* readBlocks(reader: Reader): AsyncGenerator<CarBlock, void, undefined> {
  for (;;) {
    const length = await readLength(reader, CID_BYTES + BLOCK_MAX_BYTES);
    if (length === undefined) return;
    check(length >= CID_BYTES, 'STORE_CAR_MALFORMED', 'a section without a CID');
    const cid = await reader.take(CID_BYTES);
    const offset = reader.offset;
    const bytes = await reader.take(length - CID_BYTES);
    try {
      verifyBlock(cid, bytes);
    } catch (cause) {
      if (codeOf(cause) === 'STORE_DIGEST_MISMATCH') throw cause;
      malformed(cause);
    }
    yield { cid, bytes, offset };
  }
}

function malformed(cause: unknown): never {
  if (codeOf(cause) === undefined || codeOf(cause) === 'STORE_CAR_MALFORMED') throw cause;
  return fail('STORE_CAR_MALFORMED', cause instanceof Error ? cause.message : undefined, {}, cause);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

/** An unsigned LEB128 number in its shortest form; undefined at the end of the stream. */
async function readLength(reader: Reader, max: number): Promise<number | undefined> {
  let value = 0;
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    if (i === 0 && !(await reader.more())) return undefined;
    const [byte = 0] = await reader.take(1);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte >= 0x80) continue;
    check(byte !== 0 || i === 0, 'STORE_CAR_MALFORMED', 'a length that is not the shortest');
    check(value > 0 && value <= max, 'STORE_CAR_MALFORMED', 'a length beyond the bound');
    return value;
  }
  return fail('STORE_CAR_MALFORMED', 'a length beyond the bound');
}

/** Takes bytes off a stream, so many at a time; holds no more than one part beyond what was asked for. */
class Reader {
  readonly #parts: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #part: Uint8Array = new Uint8Array();
  offset = 0;

  constructor(source: ByteSource) {
    if (source instanceof Uint8Array) this.#parts = [source].values();
    else if (Symbol.asyncIterator in source) this.#parts = source[Symbol.asyncIterator]();
    else this.#parts = source[Symbol.iterator]();
  }

  async more(): Promise<boolean> {
    while (this.#part.length === 0) {
      const next = await this.#parts.next();
      if (next.done === true) return false;
      this.#part = next.value;
    }
    return true;
  }

  /** A copy. Errors: STORE_CAR_MALFORMED when the stream ends before. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      check(await this.more(), 'STORE_CAR_MALFORMED', 'the file ends in the middle');
      const piece = this.#part.subarray(0, length - at);
      bytes.set(piece, at);
      at += piece.length;
      this.#part = this.#part.subarray(piece.length);
    }
    this.offset += length;
    return bytes;
  }
}
