/** From a proven line to the releases that it offers, each verified before it is kept (T28). */
import { hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { check } from '../errors.ts';
import type { NodeAccess } from '../reader/nodes.ts';
import { lineText } from '../registry/line.ts';
import { readOffered, type JudgedLine } from '../trust/accept.ts';
import { freshnessText } from '../trust/freshness.ts';
import type { Events } from './events.ts';
import type { Releases, StoredRelease } from './releases.ts';

export interface TakingParts {
  readonly releases: Releases;
  readonly events: Events;
  readonly clock: Clock;
}

/**
 * Fetches the newest release, and the waypoint that some device may need before it, unless they are here. `unsupported`
 * has the digests of those that no gateway can offer, and grows. Errors: those of the node and of `readOffered`,
 * GATEWAY_RELEASE_UNSUPPORTED.
 */
export async function takeReleases(
  { releases, events, clock }: TakingParts,
  unsupported: Set<string>,
  node: Pick<NodeAccess, 'name' | 'release'>,
  judged: JudgedLine,
): Promise<void> {
  const { newest } = judged.proven.value;
  const digests = newest ? [newest.digest, ...(newest.via ? [newest.via] : [])] : [];
  const line = lineText(judged.followed.line);
  for (const digest of digests) {
    const name = hex(digest);
    if (releases.release(name) || unsupported.has(name)) continue;
    events.add({ step: 'announcement', line, digest: name, detail: `from ${node.name}` });
    const envelope = await node.release(judged.followed.line, digest);
    const release = readRelease(judged, envelope, digest, unsupported);
    releases.saveRelease(release, clock());
    events.add({
      step: 'verified',
      line,
      digest: release.digest,
      detail: `version ${release.version}, ${release.urgency}, ${freshnessText(judged.freshness)}`,
    });
  }
}

function readRelease(
  judged: JudgedLine,
  envelope: Uint8Array,
  digest: Uint8Array,
  unsupported: Set<string>,
): Omit<StoredRelease, 'stored'> {
  // T28: what is announced is nothing until its author's signature and the line's proof hold for it.
  const release = readOffered(judged, envelope, digest);
  const [image, ...others] = release.envelope.manifest.images.filter(
    ({ componentIndex }) => componentIndex === 0,
  );
  const single =
    image !== undefined && others.every((other) => hex(other.digest) === hex(image.digest));
  if (!single || image.size === undefined) unsupported.add(hex(digest));
  check(single && image.size !== undefined, 'GATEWAY_RELEASE_UNSUPPORTED');
  return {
    digest: hex(release.digest),
    line: lineText(judged.followed.line),
    sequence: release.sequence,
    version: release.claims.version,
    urgency: release.claims.urgency,
    envelope,
    sha256: hex(image.digest),
    size: image.size,
  };
}
