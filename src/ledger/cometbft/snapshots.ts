/**
 * State sync: the engine's calls about snapshots. A node gives what it wrote of its own ledger, and one without blocks
 * begins with what others give: nothing of that is believed, the light client's app hash decides (T15).
 */
import type { Genesis } from '../../registry/genesis.ts';
import { sha256 } from '#crypto';
import { concat, equal } from '../../bytes.ts';
import { codeOf } from '../../errors.ts';
import type { Logger } from '../../logger.ts';
import {
  ResponseApplySnapshotChunk_Result as ApplyResult,
  ResponseOfferSnapshot_Result as OfferResult,
  type RequestApplySnapshotChunk,
  type RequestLoadSnapshotChunk,
  type RequestOfferSnapshot,
} from '../../proto/tendermint/abci/types_pb.js';
import type { Replica } from '../replica.ts';
import { SnapshotImport } from '../snapshot-import.ts';
import type { Answer, Call } from './abci-server.ts';
import type { SnapshotFolder } from './snapshot-folder.ts';

export type SnapshotCall = Extract<
  Call,
  {
    readonly case: 'listSnapshots' | 'offerSnapshot' | 'loadSnapshotChunk' | 'applySnapshotChunk';
  }
>;

export interface SnapshotsOptions {
  readonly replica: Replica;
  readonly genesis: Genesis;
  readonly chain: number;
  readonly folder: SnapshotFolder;
  /** Path of the database that a snapshot is restored into. */
  readonly restored: string;
  readonly logger: Logger;
}

const FORMAT = 1;
const DIGEST = 32;
// Of 1 MiB each.
const MAX_CHUNKS = 65_536;

interface Restoring {
  readonly into: SnapshotImport;
  readonly height: number;
  /** SHA-256 of each chunk. */
  readonly digests: Uint8Array;
  next: number;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  #restoring: Restoring | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  answer(call: SnapshotCall): Answer {
    switch (call.case) {
      case 'listSnapshots':
        return { case: 'listSnapshots', value: { snapshots: [...this.#given()] } };
      case 'loadSnapshotChunk':
        return { case: 'loadSnapshotChunk', value: { chunk: this.#chunk(call.value) } };
      case 'offerSnapshot':
        return { case: 'offerSnapshot', value: { result: this.#offered(call.value) } };
      case 'applySnapshotChunk':
      default:
        return { case: 'applySnapshotChunk', value: this.#applied(call.value) };
    }
  }

  /** Drops what is half restored: the engine begins anew. */
  abandon(): void {
    this.#restoring?.into.discard();
    this.#restoring = undefined;
  }

  #given() {
    return this.#options.folder.all().map(({ height, digests }) => ({
      height: BigInt(height),
      format: FORMAT,
      chunks: digests.length,
      hash: sha256(concat(...digests)),
      metadata: concat(...digests),
    }));
  }

  #chunk({ height, format, chunk }: RequestLoadSnapshotChunk): Uint8Array {
    const none = new Uint8Array(0);
    if (format !== FORMAT) return none;
    return this.#options.folder.chunk(Number(height), chunk) ?? none;
  }

  #offered({ snapshot, appHash }: RequestOfferSnapshot): OfferResult {
    this.abandon();
    const { replica, genesis, chain, restored } = this.#options;
    if (snapshot?.format !== FORMAT) return OfferResult.REJECT_FORMAT;
    const { chunks, metadata, hash } = snapshot;
    const wellFormed =
      chunks >= 1 &&
      chunks <= MAX_CHUNKS &&
      metadata.length === chunks * DIGEST &&
      equal(sha256(metadata), hash);
    // Only a node whose engine has nothing yet begins with one.
    if (!wellFormed || replica.enginePosition(chain)) return OfferResult.REJECT;
    this.#restoring = {
      into: new SnapshotImport({ path: restored, genesis, appHash }),
      height: Number(snapshot.height),
      digests: metadata,
      next: 0,
    };
    return OfferResult.ACCEPT;
  }

  #applied({ index, chunk, sender }: RequestApplySnapshotChunk) {
    const { replica, logger } = this.#options;
    const restoring = this.#restoring;
    if (!restoring || index !== restoring.next) return { result: ApplyResult.ABORT };
    const { into, digests, height } = restoring;
    if (!equal(sha256(chunk), digests.subarray(index * DIGEST, (index + 1) * DIGEST)))
      return { result: ApplyResult.RETRY, refetchChunks: [index], rejectSenders: [sender] };
    try {
      into.add(chunk);
      restoring.next++;
      if (restoring.next * DIGEST === digests.length) {
        into.finish();
        replica.adopt(this.#options.restored, height);
        this.abandon();
        logger.info('begun with a snapshot', { height: replica.head().height, engine: height });
      }
      return { result: ApplyResult.ACCEPT };
    } catch (error) {
      this.abandon();
      // This node's own disk says nothing of the snapshot.
      if (codeOf(error) === undefined || codeOf(error)?.startsWith('DATABASE_')) throw error;
      logger.warn('a snapshot was refused', { code: codeOf(error), error, sender });
      return { result: ApplyResult.REJECT_SNAPSHOT, rejectSenders: [sender] };
    }
  }
}
