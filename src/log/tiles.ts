/** c2sp.org/tlog-tiles: the log as static files of 256 hashes or entries (docs/spec/tiles.md). */
import { check } from '../errors.ts';
import { HASH_LENGTH } from './merkle.ts';
import type { NodeStore } from './tree.ts';

/** One tile: of hashes at tile level 0 to 6, or of entries. `width` 256: full. */
export interface TileName {
  readonly level: number | 'entries';
  readonly index: number;
  readonly width: number;
}

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** Sizes are below 2^53, and a tile at level 7 would need 2^56 leaves. */
const MAX_LEVEL = 6;
/** Our entries have one length; the format gives each its own. */
const ENTRY_LENGTH = 32;
const ENTRY_STRIDE = 2 + ENTRY_LENGTH;

/** `tile/L/N` or `tile/entries/N`, `.p/W` after a partial one; N in groups of three digits. */
export function tilePath(level: number | 'entries', index: number, width = TILE_WIDTH): string {
  const rightLevel =
    level === 'entries' || (Number.isInteger(level) && level >= 0 && level <= MAX_LEVEL);
  const rightIndex = Number.isSafeInteger(index) && index >= 0;
  check(rightLevel && rightIndex && isWidth(width), 'LOG_TILE_MALFORMED');
  const digits = `${index}`;
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  const partial = width === TILE_WIDTH ? '' : `.p/${width}`;
  return `tile/${level}/${path}${partial}`;
}

const PATH =
  /^tile\/(?<level>[0-6]|entries)\/(?<index>(?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/(?<width>[1-9][0-9]{0,2}))?$/;

/** The tile that the path names in its one form. Errors: LOG_TILE_MALFORMED. */
export function parseTilePath(path: string): TileName {
  const groups = PATH.exec(path)?.groups;
  check(groups !== undefined, 'LOG_TILE_MALFORMED', 'not the path of a tile');
  const name = {
    level: groups['level'] === 'entries' ? ('entries' as const) : Number(groups['level']),
    index: Number(groups['index']?.replaceAll(/[x/]/g, '')),
    width: Number(groups['width'] ?? TILE_WIDTH),
  };
  check(tilePath(name.level, name.index, name.width) === path, 'LOG_TILE_MALFORMED');
  return name;
}

/** How much of a tile there is in a log of `size` leaves: 0 to 256. */
export function tileWidth(level: number | 'entries', index: number, size: number): number {
  const span = level === 'entries' ? 1 : TILE_WIDTH ** level;
  const hashes = Math.floor(size / span) - index * TILE_WIDTH;
  return Math.min(Math.max(hashes, 0), TILE_WIDTH);
}

/** The first `width` hashes of a tile, 32 bytes each. Errors: LOG_TILE_MALFORMED and the store's. */
export function tileBytes(
  store: Pick<NodeStore, 'get'>,
  level: number,
  index: number,
  width = TILE_WIDTH,
): Uint8Array {
  check(isWidth(width), 'LOG_TILE_MALFORMED');
  const bytes = new Uint8Array(width * HASH_LENGTH);
  for (let i = 0; i < width; i++)
    bytes.set(store.get(level * TILE_HEIGHT, index * TILE_WIDTH + i), i * HASH_LENGTH);
  return bytes;
}

/** The hashes of a tile. Errors: LOG_TILE_MALFORMED unless there are exactly `width`. */
export function parseTile(bytes: Uint8Array, width = TILE_WIDTH): readonly Uint8Array[] {
  check(isWidth(width) && bytes.length === width * HASH_LENGTH, 'LOG_TILE_MALFORMED');
  return Array.from({ length: width }, (_, i) =>
    bytes.subarray(i * HASH_LENGTH, (i + 1) * HASH_LENGTH),
  );
}

/** A bundle of 1 to 256 entries of 32 bytes, each after its length as u16. */
export function bundleBytes(entries: readonly Uint8Array[]): Uint8Array {
  check(isWidth(entries.length), 'LOG_TILE_MALFORMED');
  const bytes = new Uint8Array(entries.length * ENTRY_STRIDE);
  const view = new DataView(bytes.buffer);
  for (const [i, entry] of entries.entries()) {
    check(entry.length === ENTRY_LENGTH, 'LOG_TILE_MALFORMED', 'an entry has 32 bytes');
    view.setUint16(i * ENTRY_STRIDE, ENTRY_LENGTH);
    bytes.set(entry, i * ENTRY_STRIDE + 2);
  }
  return bytes;
}

/** The entries of a bundle. Errors: LOG_TILE_MALFORMED unless there are exactly `width` of 32 bytes. */
export function parseBundle(bytes: Uint8Array, width = TILE_WIDTH): readonly Uint8Array[] {
  check(isWidth(width) && bytes.length === width * ENTRY_STRIDE, 'LOG_TILE_MALFORMED');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: width }, (_, i) => {
    const at = i * ENTRY_STRIDE;
    check(view.getUint16(at) === ENTRY_LENGTH, 'LOG_TILE_MALFORMED', 'an entry has 32 bytes');
    return bytes.subarray(at + 2, at + ENTRY_STRIDE);
  });
}

function isWidth(width: number): boolean {
  return Number.isInteger(width) && width >= 1 && width <= TILE_WIDTH;
}
