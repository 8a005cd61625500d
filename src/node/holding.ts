/** Replication by policy: fetches the images that this node should keep, and says so on the ledger (T16, T23). */
import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../bytes.ts';
import type { Cbor } from '../cbor/value.ts';
import type { Clock } from '../clock.ts';
import type { PrivateKey } from '../crypto/key.ts';
import { codeOf } from '../errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Replica } from '../ledger/replica.ts';
import type { Logger } from '../logger.ts';
import { parseLineText, releaseText } from '../registry/line.ts';
import { nodeIssuer } from '../registry/policy.ts';
import {
  getAuthor,
  getHolds,
  getLine,
  getRelease,
  policyInForce,
  type AuthorRecord,
} from '../registry/state.ts';
import { createStatement, type Statement } from '../registry/statement.ts';
import type { View } from '../registry/view.ts';
import type { Bell } from './bell.ts';
import type { ImageStore } from './image-store.ts';
import type { AnchoredImage, Images } from './images.ts';
import { placesBehind } from './placement.ts';
import type { StatementCounter } from './statement-counter.ts';

export type Replicate = 'assigned' | 'all' | 'none';

export interface HoldingParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  readonly ledger: Ledger;
  readonly images: Images;
  readonly imageStore: ImageStore;
  readonly statementKey: PrivateKey;
  readonly counter: StatementCounter;
  readonly replicate: Replicate;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Leases are renewed long before they end (T23). */
const LEASE = 1 << 20;
const STEP_IN_SECONDS = 20;
const RETRY_MS = 2_000;
const MAX_REST_MS = 300_000;
/** Images about which something is remembered between rounds. */
const MAX_REMEMBERED = 65_536;

/** Keeps images by policy. Owns nothing but what it remembers between rounds. */
export class Holding {
  readonly #parts: HoldingParts;
  readonly #firstSeen = new Map<string, number>();
  readonly #resting = new Map<string, { readonly until: number; readonly ms: number }>();
  #olderThan = Number.MAX_SAFE_INTEGER;

  constructor(parts: HoldingParts) {
    this.#parts = parts;
  }

  /** Runs until the signal is aborted; the bell rings when there may be something new to keep. */
  async run(bell: Bell, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now();
      const due = await this.#tryRound(signal);
      // Under a stream of new heads at most half of the time goes into looking.
      const took = Math.min(performance.now() - began, RETRY_MS);
      await sleep(took, undefined, { signal }).catch(() => undefined);
      await bell.heard(due, signal);
    }
  }

  // A disk that is full, or another fault of this node's own, is over some time: then the images are still to keep.
  async #tryRound(signal: AbortSignal): Promise<number> {
    try {
      return await this.#round(signal);
    } catch (error) {
      this.#parts.logger.error('images could not be looked at', { code: codeOf(error), error });
      return RETRY_MS;
    }
  }

  // The newest first, and one page of older ones a round: images whose author never uploads starve nobody.
  // Answers after how many milliseconds there is something to do again, unless the bell rings.
  async #round(signal: AbortSignal): Promise<number> {
    const { images, logger } = this.#parts;
    images.catchUp();
    const newest = images.open(Number.MAX_SAFE_INTEGER);
    const older = images.open(Math.min(this.#olderThan, newest.at(-1)?.index ?? 0));
    this.#olderThan = older.at(-1)?.index ?? Number.MAX_SAFE_INTEGER;
    let due = STEP_IN_SECONDS * 1000;
    for (const image of [...newest, ...older]) {
      if (signal.aborted) return due;
      const rest = this.#resting.get(keyOf(image));
      const resting = rest ? rest.until - performance.now() : 0;
      if (resting > 0) {
        due = Math.min(due, resting);
        continue;
      }
      try {
        await this.#keep(image);
        this.#resting.delete(keyOf(image));
      } catch (error) {
        if (signal.aborted) return due;
        const ms = Math.min(MAX_REST_MS, (rest?.ms ?? RETRY_MS / 2) * 2);
        due = Math.min(due, ms);
        this.#rest(image, ms);
        logger.warn('an image could not be kept yet', {
          image: hex(image.image),
          code: codeOf(error),
          error,
        });
      }
    }
    return due;
  }

  // An image that can't be had, or whose author anchored other chunks than its own, is tried ever more rarely.
  #rest(image: AnchoredImage, ms: number): void {
    if (this.#resting.size >= MAX_REMEMBERED) this.#resting.clear();
    this.#resting.set(keyOf(image), { until: performance.now() + ms, ms });
  }

  async #keep(image: AnchoredImage): Promise<void> {
    const { replica, images, imageStore, ledger, name, logger } = this.#parts;
    if (getHolds(replica.view(), image).some((hold) => hold.node === name)) {
      images.markHeld(image);
      return;
    }
    if (!image.complete) {
      // A second release of an image: every block is here before anybody uploads one.
      if (!(await imageStore.isPresent(image)) && !this.#wanted(image)) return;
      await imageStore.gather(image);
    }
    await ledger.submit([{ statement: this.#holdStatement(image), attachment: null }]);
    images.markHeld(image);
    this.#firstSeen.delete(keyOf(image));
    logger.info('image held', { image: hex(image.image), line: image.lineText });
  }

  #wanted(image: AnchoredImage): boolean {
    const { replica, replicate, images, name, clock } = this.#parts;
    const view = replica.view();
    if (replicate === 'none' || getHolds(view, image).length === 0) return false;
    if (replicate === 'all') return true;
    const { policy } = policyInForce(view);
    const author = ownerOf(view, image.line);
    const behind = placesBehind(policy, image.image, operatorOf(name), author?.operator ?? null);
    if (behind === 0) return true;
    if (getRelease(view, image.line, image.release)?.status !== 'registered') {
      images.markLeft(image);
      this.#firstSeen.delete(keyOf(image));
      return false;
    }
    if (this.#firstSeen.size >= MAX_REMEMBERED) this.#firstSeen.clear();
    const since = this.#firstSeen.get(keyOf(image)) ?? clock();
    this.#firstSeen.set(keyOf(image), since);
    return clock() - since >= behind * STEP_IN_SECONDS;
  }

  #holdStatement(image: AnchoredImage): Statement {
    const { replica, statementKey, counter, name } = this.#parts;
    const { networkId } = policyInForce(replica.view());
    const payload = new Map<Cbor, Cbor>([
      [1, image.line],
      [2, image.release],
      [3, image.image],
      [4, replica.head().height + LEASE],
    ]);
    return createStatement(
      statementKey,
      {
        kind: 'image.hold',
        issuer: nodeIssuer(name),
        subject: releaseText(parseLineText(image.lineText), image.release),
        network: hex(networkId),
        counter: counter.next(),
      },
      payload,
    );
  }
}

function keyOf(image: AnchoredImage): string {
  return `${hex(image.line)}${hex(image.release)}${hex(image.image)}`;
}

function operatorOf(name: string): string {
  return name.split('/', 1)[0] ?? name;
}

function ownerOf(view: View, line: Uint8Array): AuthorRecord | undefined {
  const record = getLine(view, line);
  return record && getAuthor(view, record.owner);
}
