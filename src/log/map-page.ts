/**
 * A page of the map's tree: four binary levels, sixteen slots, one for each value of the nibble at
 * its path's end. Its bytes (docs/spec/log.md): u16 bitmap of occupied slots, u16 bitmap of those
 * that are child pages (slot 0 is the most significant bit), then for each occupied slot the
 * child's hash, or key || SHA-256(value) of the one key under it.
 */
import { check } from '../errors.ts';
import { EMPTY, mapLeafHash, mapNodeHash, type MapLeaf } from './prefix-map.ts';

const HASH = 32;
const LEAF = 64;
const HEADER = 4;
export const SLOTS = 16;

/** A subtree of more than one key, known by its hash; it is the page one nibble further down. */
export interface MapChild {
  readonly hash: Uint8Array;
}

export type Slot = MapLeaf | MapChild | undefined;
export type Page = Slot[];

export function isLeaf(slot: MapLeaf | MapChild): slot is MapLeaf {
  return 'key' in slot;
}

export function emptyPage(): Page {
  return Array.from({ length: SLOTS }, () => undefined);
}

export function encodePage(page: Page): Uint8Array {
  let length = HEADER;
  for (const slot of page) if (slot !== undefined) length += isLeaf(slot) ? LEAF : HASH;
  const bytes = new Uint8Array(length);
  let occupied = 0;
  let children = 0;
  let at = HEADER;
  for (let i = 0; i < SLOTS; i++) {
    const slot = page[i];
    if (slot === undefined) continue;
    occupied |= 0x8000 >> i;
    if (isLeaf(slot)) {
      bytes.set(slot.key, at);
      bytes.set(slot.valueHash, at + HASH);
      at += LEAF;
    } else {
      children |= 0x8000 >> i;
      bytes.set(slot.hash, at);
      at += HASH;
    }
  }
  const header = new DataView(bytes.buffer);
  header.setUint16(0, occupied);
  header.setUint16(2, children);
  return bytes;
}

/** Slots over the bytes, which must not change afterwards. Errors: LOG_MAP_PAGE_CORRUPT. */
export function decodePage(bytes: Uint8Array): Page {
  check(bytes.length >= HEADER, 'LOG_MAP_PAGE_CORRUPT');
  const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER);
  const occupied = header.getUint16(0);
  const children = header.getUint16(2);
  check((children & ~occupied) === 0, 'LOG_MAP_PAGE_CORRUPT');
  const page = emptyPage();
  let at = HEADER;
  for (let i = 0; i < SLOTS; i++) {
    const bit = 0x8000 >> i;
    if ((occupied & bit) === 0) continue;
    if ((children & bit) !== 0) {
      page[i] = { hash: bytes.subarray(at, at + HASH) };
      at += HASH;
    } else {
      const middle = at + HASH;
      page[i] = { key: bytes.subarray(at, middle), valueHash: bytes.subarray(middle, at + LEAF) };
      at += LEAF;
    }
  }
  check(at === bytes.length, 'LOG_MAP_PAGE_CORRUPT');
  return page;
}

/** A place in the page's binary tree: nothing, one key (then `leaf`), or more (only `hash`). */
export interface Place {
  readonly hash: Uint8Array;
  readonly leaf: MapLeaf | undefined;
}

const NOTHING: Place = { hash: EMPTY, leaf: undefined };

/** The five layers of a page, from its one top place down to its sixteen slots. */
export function pageLayers(page: Page): readonly (readonly Place[])[] {
  let layer: Place[] = page.map((slot) => {
    if (slot === undefined) return NOTHING;
    if (!isLeaf(slot)) return { hash: slot.hash, leaf: undefined };
    return { hash: mapLeafHash(slot.key, slot.valueHash), leaf: slot };
  });
  const layers = [layer];
  while (layer.length > 1) {
    const above: Place[] = [];
    for (let i = 0; i < layer.length; i += 2)
      above.push(joined(layer[i] as Place, layer[i + 1] as Place));
    layers.unshift(above);
    layer = above;
  }
  return layers;
}

/** A lone key stands for the whole subtree: a leaf is at the shallowest depth where it is alone. */
function joined(left: Place, right: Place): Place {
  if (right === NOTHING && (left === NOTHING || left.leaf !== undefined)) return left;
  if (left === NOTHING && right.leaf !== undefined) return right;
  return { hash: mapNodeHash(left.hash, right.hash), leaf: undefined };
}

/** The hash of the subtree that the page holds. */
export function pageHash(page: Page): Uint8Array {
  return (pageLayers(page)[0] as readonly Place[])[0]?.hash as Uint8Array;
}
