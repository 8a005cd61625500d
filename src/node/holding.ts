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
import { getAuthor, getHolds, getNodeCounter, getRelease, policyInForce } from '../registry/state.ts';
import { createStatement, type Statement } from '../registry/statement.ts';
import type { ImageStore } from './image-store.ts';
import type { AnchoredImage, Images } from './images.ts';
import { placesBehind } from './placement.ts';

export type Replicate = 'assigned' | 'all' | 'none';

export interface HoldingParts {
  /** OPERATOR/NODE. */
  readonly name: string;
  readonly replica: Replica;
  readonly ledger: Ledger;
  readonly images: Images;
  readonly imageStore: ImageStore;
  readonly statementKey: PrivateKey;
  readonly replicate: Replicate;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Leases are renewed long before they end (T23). */
const LEASE = 1 << 20;
const STEP_IN_SECONDS = 20;
const RETRY_MS = 2_000;

/** Keeps images by policy until the signal is aborted. */
export async function keepImages(parts: HoldingParts, wake: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const firstSeen = new Map<string, number>();
  while (!signal.aborted) {
    const woken = wake();
    parts.images.catchUp();
    let failed = false;
    for (const image of parts.images.open()) {
      if (signal.aborted) return;
      try {
        await keep(parts, image, firstSeen);
      } catch (error) {
        failed = true;
        parts.logger.warn('an image could not be kept yet', { image: hex(image.image), code: codeOf(error), error });
      }
    }
    const pause = new AbortController();
    const timer = sleep(failed ? RETRY_MS : STEP_IN_SECONDS * 1000, undefined, { signal: pause.signal }).catch(
      () => undefined,
    );
    await Promise.race([woken, timer]);
    pause.abort();
  }
}

async function keep(parts: HoldingParts, image: AnchoredImage, firstSeen: Map<string, number>): Promise<void> {
  if (getHolds(parts.replica.view(), image).some((hold) => hold.node === parts.name)) {
    parts.images.markHeld(image);
    return;
  }
  if (!image.complete) {
    if (!wanted(parts, image, firstSeen)) return;
    await parts.imageStore.gather(image);
  }
  await parts.ledger.submit([{ statement: holdStatement(parts, image), attachment: null }]);
  parts.images.markHeld(image);
  parts.logger.info('image held', { image: hex(image.image), line: image.lineText });
}

function wanted(parts: HoldingParts, image: AnchoredImage, firstSeen: Map<string, number>): boolean {
  const view = parts.replica.view();
  const holds = getHolds(view, image);
  if (parts.replicate === 'none' || holds.length === 0) return false;
  if (parts.replicate === 'all') return true;
  const { policy } = policyInForce(view);
  const author = getAuthor(view, parseLineText(image.lineText).author);
  const operator = parts.name.split('/', 1)[0] ?? parts.name;
  const behind = placesBehind(policy, image.image, operator, author?.operator ?? null);
  if (behind === 0) return true;
  if (getRelease(view, image.line, image.release)?.status !== 'registered') return false;
  const key = hex(image.release) + hex(image.image);
  const since = firstSeen.get(key) ?? parts.clock();
  firstSeen.set(key, since);
  return parts.clock() - since >= behind * STEP_IN_SECONDS;
}

function holdStatement(parts: HoldingParts, image: AnchoredImage): Statement {
  const view = parts.replica.view();
  const { networkId } = policyInForce(view);
  const payload = new Map<Cbor, Cbor>([
    [1, image.line],
    [2, image.release],
    [3, image.image],
    [4, parts.replica.head().height + LEASE],
  ]);
  return createStatement(
    parts.statementKey,
    {
      kind: 'image.hold',
      issuer: nodeIssuer(parts.name),
      subject: releaseText(parseLineText(image.lineText), image.release),
      network: hex(networkId),
      counter: nextCounter(parts),
    },
    payload,
  );
}

// Milliseconds since 1970 grow across restarts too; the ledger's own count stands above a clock that went back.
let lastCounter = 0n;
function nextCounter({ replica, name, clock }: HoldingParts): bigint {
  const known = getNodeCounter(replica.view(), name);
  const now = BigInt(clock()) * 1000n;
  lastCounter = [known + 1n, lastCounter + 1n, now].reduce((a, b) => (a > b ? a : b));
  return lastCounter;
}
