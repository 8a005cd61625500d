/** Blocks of anchored images on this node: taken from authors, gathered from neighbours, read for devices. */
import { equal, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import type { Anchor } from '../registry/rules/image-anchor.ts';
import { getHolds } from '../registry/state.ts';
import { cidDigest, cidText, parseCid, rawCid } from '../store/cid.ts';
import { fetchImage } from '../store/fetch.ts';
import { httpHolder } from '../store/http.ts';
import type { Store } from '../store/store.ts';
import { checkLayout } from '../store/unixfs.ts';
import type { AnchoredImage, Images } from './images.ts';
import type { Peers } from './peers.ts';

export interface ImageStoreParts {
  readonly replica: Replica;
  readonly images: Images;
  readonly store: Store;
  readonly peers: Peers;
  readonly logger: Logger;
  /** Ends gathering when the node stops. */
  readonly stop: AbortSignal;
  /** Called when an image is complete here. */
  readonly onComplete: (image: AnchoredImage) => void;
}

/**
 * An image as one release anchors it. Chunks are the word of that release's author: another author may anchor the
 * same digest with chunks that are not its, so a digest has several, and only the whole image decides.
 */
export interface Candidate {
  readonly image: AnchoredImage;
  readonly anchor: Anchor;
}

/** Uploads under way of which is remembered what they lack, and failures that are not repeated at once. */
const MAX_UPLOADS = 32;
const MAX_FAILURES = 256;
const FAILURE_MS = 500;
/** As many as one answer lists. */
const MAX_MISSING = 4096;

export class ImageStore {
  readonly #parts: ImageStoreParts;
  readonly #gathering = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, { readonly until: number; readonly error: unknown }>();
  /** By image of a release: hex digests of the chunks that are still to come. */
  readonly #uploads = new Map<string, Promise<Set<string>>>();

  constructor(parts: ImageStoreParts) {
    this.#parts = parts;
  }

  /** Every way in which an image with this digest is anchored; complete ones first, then the oldest. Errors: ANCHOR_UNKNOWN. */
  find(sha256: Uint8Array): readonly Candidate[] {
    const { images } = this.#parts;
    images.catchUp();
    const byRoot = new Map<string, Candidate>();
    for (const image of images.of(sha256)) {
      const anchor = images.anchor(image);
      const root = hex(anchor.root);
      if (!byRoot.has(root)) byRoot.set(root, { image, anchor });
    }
    check(byRoot.size > 0, 'ANCHOR_UNKNOWN');
    return [...byRoot.values()];
  }

  /** CIDs of the chunks that are not here yet, as text; of all candidates, and at most 4,096. Errors: ANCHOR_UNKNOWN. */
  async missing(sha256: Uint8Array): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const { anchor } of this.find(sha256)) {
      for (const digest of anchor.chunks) {
        if (missing.length >= MAX_MISSING) return missing;
        const cid = rawCid(digest);
        if (!(await this.#parts.store.has(cid))) missing.push(cidText(cid));
      }
    }
    return missing;
  }

  async #missingOf(anchor: Anchor): Promise<Set<string>> {
    const missing = new Set<string>();
    for (const digest of anchor.chunks)
      if (!(await this.#parts.store.has(rawCid(digest)))) missing.add(hex(digest));
    return missing;
  }

  /** Whether every chunk is here; ends at the first that is not. Errors: ANCHOR_UNKNOWN. */
  async isPresent(image: AnchoredImage): Promise<boolean> {
    for (const digest of this.#parts.images.anchor(image).chunks)
      if (!(await this.#parts.store.has(rawCid(digest)))) return false;
    return true;
  }

  /**
   * Takes one chunk of an anchored image from its author.
   * Errors: ANCHOR_UNKNOWN, ANCHOR_INVALID, STORE_CID_INVALID, STORE_DIGEST_MISMATCH.
   */
  async put(sha256: Uint8Array, cid: string, bytes: Uint8Array): Promise<void> {
    const parsed = parseCid(cid);
    const digest = cidDigest(parsed);
    const wanted = this.find(sha256).filter(({ anchor }) =>
      anchor.chunks.some((chunk) => equal(chunk, digest)),
    );
    check(
      wanted.length > 0 && equal(rawCid(digest), parsed),
      'ANCHOR_INVALID',
      'not a chunk of this image',
    );
    await this.#parts.store.put(parsed, bytes);
    for (const candidate of wanted)
      if (!candidate.image.complete) await this.#arrived(candidate, digest);
  }

  async #arrived({ image, anchor }: Candidate, digest: Uint8Array): Promise<void> {
    const key = keyOf(image);
    const lacking = this.#uploads.get(key) ?? this.#missingOf(anchor);
    this.#uploads.set(key, lacking);
    if (this.#uploads.size > MAX_UPLOADS)
      this.#uploads.delete(this.#uploads.keys().next().value ?? key);
    const missing = await lacking;
    missing.delete(hex(digest));
    if (missing.size > 0) return;
    this.#uploads.delete(key);
    await this.gather(image);
  }

  /**
   * Gathers what is missing from the nodes that hold the image, and checks the whole.
   * Errors: STORE_UNAVAILABLE, STORE_DIGEST_MISMATCH, ANCHOR_*, NET_ABORTED.
   */
  async gather(image: AnchoredImage): Promise<void> {
    const key = keyOf(image);
    const running = this.#gathering.get(key);
    if (running) return running;
    const started = this.#gather(image).finally(() => this.#gathering.delete(key));
    this.#gathering.set(key, started);
    return started;
  }

  async #gather(image: AnchoredImage): Promise<void> {
    const { images, peers, replica, store, logger, stop, onComplete } = this.#parts;
    const anchor = images.anchor(image);
    const holding = new Set(
      images
        .of(image.image)
        .filter((other) => equal(images.anchor(other).root, anchor.root))
        .flatMap((other) => getHolds(replica.view(), other).map((hold) => hold.node)),
    );
    await fetchImage({
      size: anchor.size,
      digest: anchor.image,
      root: anchor.root,
      chunks: anchor.chunks,
      holders: peers
        .others()
        .filter(({ name }) => holding.has(name))
        .map((peer) => httpHolder(peers.client, peer.node.url, peer.name)),
      store,
      signal: stop,
      onLie: (holder, cid) => logger.warn('a holder served a wrong block', { holder, cid }),
    });
    // Here the whole has the digest of the manifest: any word of it may be said (T16).
    for (const node of checkLayout(anchor).nodes) await store.put(node.cid, node.bytes);
    images.markComplete(image);
    onComplete({ ...image, complete: true });
  }

  /**
   * The first candidate whose bytes are the image's, complete here or gathered and checked now.
   * Errors: ANCHOR_UNKNOWN, NODE_IMAGE_INCOMPLETE.
   */
  async ready(sha256: Uint8Array): Promise<Candidate> {
    let cause: unknown;
    for (const candidate of this.find(sha256)) {
      if (candidate.image.complete) return candidate;
      try {
        await this.#gatherOnce(candidate.image);
        return candidate;
      } catch (error) {
        cause = error;
      }
    }
    return fail('NODE_IMAGE_INCOMPLETE', undefined, { image: hex(sha256) }, cause);
  }

  // Many readers of what nobody has cost one attempt.
  async #gatherOnce(image: AnchoredImage): Promise<void> {
    const key = keyOf(image);
    const before = this.#failures.get(key);
    if (before && performance.now() < before.until) throw before.error;
    try {
      await this.gather(image);
      this.#failures.delete(key);
    } catch (error) {
      if (this.#failures.size >= MAX_FAILURES) this.#failures.clear();
      this.#failures.set(key, { until: performance.now() + FAILURE_MS, error });
      throw error;
    }
  }

  /** One chunk of a candidate that is ready; gathered anew when the disk lost it. Errors: NODE_IMAGE_INCOMPLETE. */
  async chunk({ image, anchor }: Candidate, index: number): Promise<Uint8Array> {
    const cid = rawCid(anchor.chunks[index] ?? fail('NODE_IMAGE_INCOMPLETE'));
    const here = await this.#parts.store.get(cid);
    if (here) return here;
    try {
      await this.#gatherOnce(image);
    } catch (cause) {
      fail('NODE_IMAGE_INCOMPLETE', undefined, { image: hex(anchor.image) }, cause);
    }
    return (await this.#parts.store.get(cid)) ?? fail('NODE_IMAGE_INCOMPLETE');
  }
}

function keyOf({ line, release, image }: AnchoredImage): string {
  return `${hex(line)}${hex(release)}${hex(image)}`;
}
