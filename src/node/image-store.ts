/** Blocks of anchored images on this node: taken from authors, gathered from neighbours, read for devices. */
import { createHash } from '#crypto';
import { equal, hex } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import type { Anchor } from '../registry/rules/image-anchor.ts';
import { getHolds } from '../registry/state.ts';
import { cidDigest, cidText, parseCid, rawCid } from '../store/cid.ts';
import { fetchImage } from '../store/fetch.ts';
import { httpHolder } from '../store/http.ts';
import { readImage } from '../store/read.ts';
import type { Store } from '../store/store.ts';
import { checkLayout } from '../store/unixfs.ts';
import type { AnchoredImage, Images } from './images.ts';
import type { Peers } from './peers.ts';

export interface ImageStoreParts {
  readonly name: string;
  readonly replica: Replica;
  readonly images: Images;
  readonly store: Store;
  readonly peers: Peers;
  readonly logger: Logger;
  /** Called when an image is complete here. */
  readonly onComplete: (image: AnchoredImage) => void;
}

export class ImageStore {
  readonly #parts: ImageStoreParts;
  readonly #gathering = new Map<string, Promise<void>>();

  constructor(parts: ImageStoreParts) {
    this.#parts = parts;
  }

  /** The image with this digest, as one release anchors it. Errors: ANCHOR_UNKNOWN. */
  find(sha256: Uint8Array): { readonly image: AnchoredImage; readonly anchor: Anchor } {
    const { images } = this.#parts;
    images.catchUp();
    const [image] = images.of(sha256);
    if (!image) fail('ANCHOR_UNKNOWN');
    return { image, anchor: images.anchor(image) };
  }

  /** CIDs of the chunks that are not here yet, as text. */
  async missing(anchor: Anchor): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const digest of anchor.chunks) {
      const cid = rawCid(digest);
      if (!(await this.#parts.store.has(cid))) missing.push(cidText(cid));
    }
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
    const { image, anchor } = this.find(sha256);
    const parsed = parseCid(cid);
    const digest = cidDigest(parsed);
    check(
      anchor.chunks.some((chunk) => equal(chunk, digest)) && equal(rawCid(digest), parsed),
      'ANCHOR_INVALID',
      'not a chunk of this image',
    );
    await this.#parts.store.put(parsed, bytes);
    if (!image.complete && (await this.missing(anchor)).length === 0) await this.#complete(image, anchor);
  }

  /** Gathers what is missing from the nodes that hold the image. Errors: STORE_UNAVAILABLE, ANCHOR_*. */
  async gather(image: AnchoredImage): Promise<void> {
    const key = hex(image.image);
    const running = this.#gathering.get(key) ?? this.#gather(image).finally(() => this.#gathering.delete(key));
    this.#gathering.set(key, running);
    return running;
  }

  async #gather(image: AnchoredImage): Promise<void> {
    const { images, peers, replica, store, name, logger } = this.#parts;
    const anchor = images.anchor(image);
    const holding = new Set(getHolds(replica.view(), image).map((hold) => hold.node));
    // Who says that it holds comes first; the rest may have it all the same.
    const ranked = peers
      .others()
      .toSorted((a, b) => Number(holding.has(b.name)) - Number(holding.has(a.name)))
      .filter((peer) => peer.name !== name && holding.has(peer.name));
    await fetchImage({
      size: anchor.size,
      digest: anchor.image,
      root: anchor.root,
      chunks: anchor.chunks,
      holders: ranked.map((peer) => httpHolder(peers.client, peer.node.url, peer.name)),
      store,
      onLie: (holder, cid) => logger.warn('a holder served a wrong block', { holder, cid }),
    });
    await this.#complete(image, anchor);
  }

  // The whole is checked against the manifest's digest before any word of it is said (T16).
  async #complete(image: AnchoredImage, anchor: Anchor): Promise<void> {
    const { store, images, onComplete, logger } = this.#parts;
    const { nodes } = checkLayout(anchor);
    const whole = createHash('SHA-256');
    for await (const part of readImage(store, anchor.chunks)) whole.update(part);
    if (!equal(whole.digest(), anchor.image)) {
      logger.error('the chunks that an author anchored are not its image', { image: hex(anchor.image) });
      fail('STORE_DIGEST_MISMATCH', 'the anchored chunks do not make the image');
    }
    for (const node of nodes) await store.put(node.cid, node.bytes);
    images.markComplete(image);
    onComplete({ ...image, complete: true });
  }

  /** One chunk, gathered with its image when it is not here. Errors: NODE_IMAGE_INCOMPLETE. */
  async chunk(image: AnchoredImage, anchor: Anchor, index: number): Promise<Uint8Array> {
    const cid = rawCid(anchor.chunks[index] ?? fail('ANCHOR_INVALID'));
    const here = await this.#parts.store.get(cid);
    if (here) return here;
    try {
      await this.gather(image);
    } catch (cause) {
      fail('NODE_IMAGE_INCOMPLETE', undefined, { image: hex(anchor.image) }, cause);
    }
    return (await this.#parts.store.get(cid)) ?? fail('NODE_IMAGE_INCOMPLETE');
  }
}
