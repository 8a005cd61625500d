/** release: an author's signed SUIT_Digest with the manifest beside it (T04, T16, T20). */
import { sha256 } from '#crypto';
import { equal, fromHex } from '../../bytes.ts';
import { check, fail } from '../../errors.ts';
import { readDigest } from '../../suit/digest.ts';
import { identity } from '../../suit/identity.ts';
import { parseItem } from '../../suit/item.ts';
import { parseManifest, type Manifest } from '../../suit/manifest.ts';
import { publishLine } from '../newest.ts';
import { checkReleaseMac } from '../psk.ts';
import { getAuthor, getRelease, setRelease, type ImageOfRelease } from '../state.ts';
import { MAX_ATTACHMENT, type Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { ownedLine } from './owned-line.ts';

// T17: nobody can burn a line's numbers with one release.
const MAX_STEP = 1n << 32n;
const MAX_IMAGES = 16;

export function registerRelease(
  view: View,
  statement: Statement,
  attachment: Uint8Array,
  index: number,
): void {
  const { line, key, record } = ownedLine(view, statement);
  const digest = attachedDigest(statement, attachment);
  const manifest = parseManifest(attachment);
  const { vendorId, classId } = identity(manifest);
  check(
    equal(vendorId, line.vendor) && equal(classId, line.class),
    'RELEASE_CLAIMS',
    'vendor or class differ from the line',
  );
  check(
    manifest.sequence === statement.counter,
    'RELEASE_CLAIMS',
    'the sequence differs from the manifest',
  );
  check(getRelease(view, key, digest) === undefined, 'RELEASE_EXISTS');
  const before = record.last?.sequence ?? 0n;
  check(
    statement.counter > before && statement.counter <= before + MAX_STEP,
    'RELEASE_SEQUENCE',
    undefined,
    {
      sequence: statement.counter,
      last: before,
    },
  );
  check(
    statement.counter >= record.lowest,
    'RELEASE_SEQUENCE',
    'below the lowest sequence still allowed',
  );
  const { applies, via, mac } = statement.release ?? fail('RELEASE_CLAIMS');
  checkMac(mac, getAuthor(view, record.owner)?.psk);
  if (via) {
    const waypoint = getRelease(view, key, via) ?? fail('RELEASE_VIA_UNKNOWN');
    check(
      waypoint.status !== 'withdrawn' && waypoint.sequence >= record.lowest,
      'RELEASE_VIA_UNKNOWN',
    );
  }
  setRelease(view, key, {
    sequence: statement.counter,
    digest,
    entry: statement.entry,
    index,
    issuer: fromHex(statement.issuer),
    keyId: statement.keyId,
    status: 'registered',
    applies: applies ?? null,
    via: via ?? null,
    images: imagesOf(manifest),
    // The topmost that is not withdrawn, since none comes back: walks down the line pass over the others.
    previous: record.pending ?? record.newest,
  });
  const last = { sequence: statement.counter, digest };
  publishLine(view, key, { ...record, last, pending: digest });
}

// T07: the devices of a PSK author take nothing without a MAC, so nothing without one goes on its lines.
function checkMac(mac: Uint8Array | undefined, keyId: Uint8Array | undefined): void {
  check(
    (mac === undefined) === (keyId === undefined),
    'RELEASE_CLAIMS',
    keyId ? 'a release of a PSK author has a mac' : 'only a release of a PSK author has a mac',
  );
  if (mac && keyId) checkReleaseMac(mac, keyId);
}

/** The manifest digest that a release statement signs, for the attachment it came with (T20). */
export function attachedDigest(statement: Statement, attachment: Uint8Array): Uint8Array {
  check(attachment.length <= MAX_ATTACHMENT, 'ATTACHMENT_MISMATCH', 'attachment too large');
  const what = 'SUIT_Digest';
  const { algorithm, bytes } = readDigest(parseItem(statement.payload, what), what);
  check(algorithm === 'SHA-256', 'RELEASE_CLAIMS', 'a release is named by a SHA-256 digest');
  check(equal(sha256(attachment), bytes), 'ATTACHMENT_MISMATCH');
  return bytes;
}

function imagesOf(manifest: Manifest): readonly ImageOfRelease[] {
  check(
    manifest.images.length >= 1 && manifest.images.length <= MAX_IMAGES,
    'RELEASE_CLAIMS',
    `a release names 1 to ${MAX_IMAGES} images`,
  );
  return manifest.images.map((image) => {
    check(
      image.algorithm === 'SHA-256' && image.size !== undefined,
      'RELEASE_CLAIMS',
      'an image has a SHA-256 digest and a size',
    );
    // The store would hold the ciphertext, and the manifest's digest here is the plaintext's (T22).
    check(!image.encrypted, 'RELEASE_CLAIMS', 'encrypted images are not registered yet');
    return { component: image.componentIndex, digest: image.digest, size: image.size };
  });
}
