/**
 * The writer's and prover's side of the prefix map (docs/spec/log.md), over pages of sixteen
 * slots: about log16(n) pages lead to a key, and nothing but those is read or kept in memory.
 */
import { compare, concat, equal, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { decodePage, emptyPage, encodePage, isLeaf, pageHash, pageLayers } from './map-page.ts';
import type { Page, Place } from './map-page.ts';
import { EMPTY, KEY_LENGTH } from './prefix-map.ts';
import type { MapLeaf, MapProof } from './prefix-map.ts';

/** Pages by path: the nibbles of the keys below it in lowercase hex, '' for the top page. */
export interface PageStore {
  get(path: string): Uint8Array | undefined;
  put(path: string, page: Uint8Array): void;
}

export type MapChange = MapLeaf;

/** A change with its key in hex, whose digits are the path's nibbles. */
interface Change extends MapChange {
  readonly path: string;
}

/**
 * Sets the value hashes of the keys (of one key's several, the last) and returns the new root.
 * Each page on the way is read once and written at most once; a caller that wants the batch to be
 * atomic puts a transaction around it. Errors: LOG_OUT_OF_RANGE, LOG_NODE_MISSING,
 * LOG_MAP_PAGE_CORRUPT.
 */
export function updateMap(store: PageStore, changes: readonly MapChange[]): Uint8Array {
  const sorted = sortChanges(changes);
  if (sorted.length === 0) return mapRoot(store);
  return updatePage(store, '', sorted, store.get(''));
}

/** The root as it stands; 32 zero bytes for the empty map. Errors: LOG_MAP_PAGE_CORRUPT. */
export function mapRoot(store: Pick<PageStore, 'get'>): Uint8Array {
  const bytes = store.get('');
  return bytes === undefined ? EMPTY.slice() : pageHash(decodePage(bytes));
}

/**
 * The proof of what stands under the key, or of its absence.
 * Errors: LOG_OUT_OF_RANGE, LOG_NODE_MISSING, LOG_MAP_PAGE_CORRUPT.
 */
export function proveMap(store: Pick<PageStore, 'get'>, key: Uint8Array): MapProof {
  check(key.length === KEY_LENGTH, 'LOG_OUT_OF_RANGE', 'a key has 32 bytes');
  const path = hex(key);
  const siblings: Uint8Array[] = [];
  const top = store.get('');
  if (top === undefined) return proofOf(siblings, null);
  let page = decodePage(top);
  for (let nibbles = 0; nibbles < path.length; nibbles++) {
    const nibble = nibbleAt(path, nibbles);
    const layers = pageLayers(page);
    for (let level = 0; level < layers.length; level++) {
      const layer = layers[level] as readonly Place[];
      const position = nibble >> (4 - level);
      // The top place of a page further down is its slot in the page above: counted there.
      if (level > 0) siblings.push((layer[position ^ 1] as Place).hash);
      const { hash, leaf } = layer[position] as Place;
      if (leaf !== undefined) return proofOf(siblings, equal(leaf.key, key) ? true : leaf);
      if (hash === EMPTY) return proofOf(siblings, null);
    }
    const next = path.slice(0, nibbles + 1);
    page = decodePage(store.get(next) ?? fail('LOG_NODE_MISSING', 'a page of the map', { next }));
  }
  return fail('LOG_MAP_PAGE_CORRUPT', 'a page below the last bit of a key');
}

function proofOf(path: readonly Uint8Array[], terminal: MapProof['terminal']): MapProof {
  const bitmap = new Uint8Array(Math.ceil(path.length / 8));
  const kept: Uint8Array[] = [];
  for (const [i, sibling] of path.entries()) {
    if (sibling === EMPTY) continue;
    bitmap[i >> 3] = (bitmap[i >> 3] as number) | (0x80 >> (i & 7));
    kept.push(sibling);
  }
  return { depth: path.length, bitmap, siblings: concat(...kept), terminal };
}

function sortChanges(changes: readonly MapChange[]): readonly Change[] {
  const byPath = new Map<string, Change>();
  for (const { key, valueHash } of changes) {
    const right = key.length === KEY_LENGTH && valueHash.length === KEY_LENGTH;
    check(right, 'LOG_OUT_OF_RANGE', 'a key and a value hash have 32 bytes');
    const path = hex(key);
    byPath.set(path, { key, valueHash, path });
  }
  return [...byPath.values()].toSorted((a, b) => compare(a.key, b.key));
}

/** Applies sorted changes, all below `path`, to the page there; returns the hash of its subtree. */
function updatePage(
  store: PageStore,
  path: string,
  changes: readonly Change[],
  bytes: Uint8Array | undefined,
): Uint8Array {
  const page = bytes === undefined ? emptyPage() : decodePage(bytes);
  let from = 0;
  while (from < changes.length) {
    const nibble = nibbleAt((changes[from] as Change).path, path.length);
    let to = from + 1;
    while (to < changes.length && nibbleAt((changes[to] as Change).path, path.length) === nibble)
      to++;
    page[nibble] = updateSlot(store, path, page, nibble, changes.slice(from, to));
    from = to;
  }
  const updated = encodePage(page);
  if (bytes === undefined || !equal(updated, bytes)) store.put(path, updated);
  return pageHash(page);
}

function updateSlot(
  store: PageStore,
  path: string,
  page: Page,
  nibble: number,
  changes: readonly Change[],
): Page[number] {
  const slot = page[nibble];
  const below = path + nibble.toString(16);
  if (slot !== undefined && !isLeaf(slot)) {
    const bytes = store.get(below) ?? fail('LOG_NODE_MISSING', 'a page of the map', { below });
    return { hash: updatePage(store, below, changes, bytes) };
  }
  const all = slot === undefined ? changes : withLeaf(changes, slot);
  if (all.length === 1) return all[0];
  return { hash: updatePage(store, below, all, undefined) };
}

/** The changes and the leaf that stood in their slot, unless one of them replaces it. */
function withLeaf(changes: readonly Change[], leaf: MapLeaf): readonly Change[] {
  const at = changes.findIndex(({ key }) => compare(key, leaf.key) >= 0);
  if (at === -1) return [...changes, { ...leaf, path: hex(leaf.key) }];
  if (equal((changes[at] as Change).key, leaf.key)) return changes;
  return [...changes.slice(0, at), { ...leaf, path: hex(leaf.key) }, ...changes.slice(at)];
}

function nibbleAt(path: string, at: number): number {
  const code = path.charCodeAt(at);
  return code < 0x3a ? code - 0x30 : code - 0x57;
}
