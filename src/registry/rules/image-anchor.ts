/** image.anchor: the chunks of one image of one release, by its author (T23). */
import { equal } from '../../bytes.ts';
import { asBytes, asUint } from '../../cbor/read.ts';
import { check, fail } from '../../errors.ts';
import { getAnchor, getRelease, setAnchor } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { ownedLine } from './owned-line.ts';
import { parsePayload } from './payload.ts';

export interface Anchor {
  readonly release: Uint8Array;
  readonly image: Uint8Array;
  readonly size: number;
  /** CIDv1, SHA-256: 36 bytes. */
  readonly root: Uint8Array;
  /** SHA-256 of every chunk, 32 bytes each. */
  readonly chunks: readonly Uint8Array[];
  readonly component: number;
}

export const CHUNK = 256 * 1024;

/** Errors: STATEMENT_MALFORMED, ANCHOR_INVALID. */
export function parseAnchor(statement: Statement): Anchor {
  return parsePayload(statement, [1, 2, 3, 4, 5, 6], (get) => {
    const joined = asBytes(get(5), 'chunk digests', { max: 1 << 20 });
    check(joined.length % 32 === 0, 'ANCHOR_INVALID', 'chunk digests have 32 bytes each');
    return {
      release: asBytes(get(1), 'manifest digest', 32),
      image: asBytes(get(2), 'image digest', 32),
      size: asUint(get(3), 'size'),
      root: asBytes(get(4), 'root CID', 36),
      chunks: Array.from({ length: joined.length / 32 }, (_, i) =>
        joined.subarray(i * 32, i * 32 + 32),
      ),
      component: asUint(get(6), 'component index'),
    };
  });
}

export function anchorImage(view: View, statement: Statement, index: number): void {
  const { key } = ownedLine(view, statement);
  const anchor = parseAnchor(statement);
  const release = getRelease(view, key, anchor.release) ?? fail('RELEASE_UNKNOWN');
  check(release.status !== 'withdrawn', 'RELEASE_WITHDRAWN');
  const image = release.images.find(
    ({ component, digest }) => component === anchor.component && equal(digest, anchor.image),
  );
  check(
    image !== undefined && image.size === anchor.size,
    'ANCHOR_INVALID',
    'not an image of the release',
  );
  check(
    anchor.size > 0 && anchor.chunks.length === Math.ceil(anchor.size / CHUNK),
    'ANCHOR_INVALID',
    'the number of chunks does not fit the size',
  );
  check(isRoot(anchor), 'ANCHOR_INVALID', 'the root is not a CID of the store profile');
  const name = { line: key, release: anchor.release, image: anchor.image };
  check(getAnchor(view, name) === undefined, 'ANCHOR_EXISTS');
  setAnchor(view, name, { size: anchor.size, root: anchor.root, index });
}

// CIDv1, codec raw (0x55) for one chunk or dag-pb (0x70) for more, multihash SHA-256 of 32 bytes.
function isRoot({ root, chunks }: Anchor): boolean {
  const codec = chunks.length === 1 ? 0x55 : 0x70;
  const head = [0x01, codec, 0x12, 0x20].every((byte, i) => root[i] === byte);
  return head && (chunks.length > 1 || equal(root.subarray(4), chunks[0] as Uint8Array));
}
