/** Batches of reports: made by the period, sealed to author and owner, handed to a node, proven on the ledger (T25). */
import {
  batchPath,
  decodeBatchProof,
  encodeHandedBatch,
  MAX_BATCH_PROOF,
  REPORT_BATCHES,
} from '../api/report-batch.ts';
import { equal, fromHex, hex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import type { PrivateKey, PublicKey } from '../crypto/key.ts';
import { codeOf, fail } from '../errors.ts';
import type { Logger } from '../logger.ts';
import type { Client } from '../net/client.ts';
import type { Random } from '../random.ts';
import { nodesOf, type NamedNode } from '../registry/policy.ts';
import type { Root } from '../registry/root.ts';
import { encodeBatch, makeBatch, readBatch, withoutRecords, type Batch } from '../reports/batch.ts';
import { checkBatchProof } from '../reports/ledger-proof.ts';
import { decodeRecord } from '../reports/record.ts';
import { openSealedBatch, sealBatch } from '../reports/sealing.ts';
import { Tally, type BatchTally, type ReleaseTally } from '../reports/tally.ts';
import type { RecordOwner, ReportRecords, StoredBatch } from './report-records.ts';

/** A network of which reports go to authors. */
export interface ReportedNetwork {
  readonly root: () => Root;
  readonly client: Client;
  /** Report keys of the followed authors, by author id in hex. */
  readonly keys: ReadonlyMap<string, PublicKey>;
}

export interface ReportingParts {
  readonly records: ReportRecords;
  /** By network id in hex. */
  readonly networks: ReadonlyMap<string, ReportedNetwork>;
  /** Seconds. */
  readonly period: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface BatchForOwner extends Partial<BatchTally>, RecordOwner {
  readonly root: string;
  readonly made: number;
  readonly state: 'waiting' | 'handed over' | 'on the ledger';
  readonly erased: boolean;
  readonly entry: number | null;
}

export interface OwnersReports {
  readonly releases: readonly ReleaseTally[];
  readonly batches: readonly BatchForOwner[];
}

const ANSWER_MS = 15_000;

export class Reporting {
  readonly #parts: ReportingParts;
  readonly #key: PrivateKey;
  /** Everything that changes batches, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ReportingParts) {
    this.#parts = parts;
    this.#key = parts.records.ownKey(parts.random);
  }

  /** Batches whose period is over are made; all that are not proven are handed over or asked about. */
  round(): Promise<void> {
    return this.#inTurn(() => this.#round(this.#parts.period));
  }

  /** The same, with periods that end now. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#round(0));
  }

  /** Erases a whole batch here. Errors: BATCH_UNKNOWN. */
  eraseBatch(root: Uint8Array): Promise<number> {
    return this.#inTurn(async () => {
      const { records } = this.#parts;
      const stored =
        records.batches().find((each) => equal(each.root, root)) ?? fail('BATCH_UNKNOWN');
      const batch = await this.#open(stored);
      records.eraseAnswers(batch?.records.map((each) => hex(decodeRecord(each).nonce)) ?? []);
      records.reseal(root, null, null);
      return batch?.records.length ?? 0;
    });
  }

  /** Erases what is kept here of a device's reports; `key` is its own. Answers how many records. */
  eraseDevice(device: string, key: PublicKey): Promise<number> {
    return this.#inTurn(async () => {
      const { records } = this.#parts;
      let erased = records.eraseOf(device);
      for (const stored of records.batches()) {
        const batch = await this.#open(stored);
        if (!batch) continue;
        const rest = withoutRecords(batch, (record) =>
          equal(decodeRecord(record).deviceKey.bytes, key.bytes),
        );
        if (rest.records.length === batch.records.length) continue;
        erased += batch.records.length - rest.records.length;
        const plain = encodeBatch(rest);
        const author = this.#authorKey(stored);
        const sealed =
          stored.sealed && author ? await sealBatch(author, this.#about(stored), plain) : null;
        const own = await sealBatch(this.#key.publicKey, this.#about(stored), plain);
        records.reseal(stored.root, own, sealed);
      }
      return erased;
    });
  }

  /** Every batch, opened with the owner's key. */
  async list(): Promise<OwnersReports> {
    const tally = new Tally();
    const batches: BatchForOwner[] = [];
    // The oldest first: of two records of one attempt the first counts.
    for (const stored of this.#parts.records.batches().toReversed())
      batches.unshift(await this.#described(stored, tally));
    return { releases: tally.releases(), batches };
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #round(period: number): Promise<void> {
    const { records, clock, networks, logger } = this.#parts;
    for (const owner of records.owners())
      while (await this.#makeOne(owner, owner.since + period <= clock()));
    for (const stored of records.unproven()) {
      const network = networks.get(stored.network);
      if (!network) continue;
      try {
        if (stored.node === null) await this.#handOver(network, stored);
        else await this.#askProof(network, stored, stored.node);
      } catch (error) {
        const code = codeOf(error);
        if (!code || code.startsWith('DATABASE_')) throw error;
        logger.debug('a batch of reports is not proven yet', { code });
      }
    }
  }

  // Answers whether there may be more to batch for the same author.
  async #makeOne(owner: RecordOwner, due: boolean): Promise<boolean> {
    const { records, networks, clock, random, period } = this.#parts;
    const authorKey = networks.get(owner.network)?.keys.get(owner.author);
    const waiting = due && authorKey ? records.waiting(owner) : [];
    const [first] = waiting;
    if (!first || !authorKey) return false;
    const made = clock();
    const about = {
      networkId: fromHex(owner.network),
      author: fromHex(owner.author),
      from: first.taken - (first.taken % period),
      until: made,
    };
    const batch = makeBatch(
      about,
      waiting.map(({ record }) => record),
      random,
    );
    const plain = encodeBatch(batch);
    const { root } = batch;
    const sealing = { networkId: about.networkId, root };
    const own = await sealBatch(this.#key.publicKey, sealing, plain);
    const sealed = await sealBatch(authorKey, sealing, plain);
    records.saveBatch({ ...owner, root, made, own, sealed }, waiting);
    return true;
  }

  async #handOver({ root, client }: ReportedNetwork, stored: StoredBatch): Promise<void> {
    const { records, random } = this.#parts;
    if (!stored.sealed) return;
    const author = fromHex(stored.author);
    const body = encodeHandedBatch({ root: stored.root, author, sealed: stored.sealed });
    let last: unknown;
    for (const { name, node } of shuffled(retrieving(root()), random)) {
      try {
        await client.request({
          method: 'POST',
          url: node.url + REPORT_BATCHES,
          headers: { 'content-type': 'application/cbor' },
          body,
          maxBytes: 4096,
          timeoutMs: ANSWER_MS,
        });
        return records.handed(stored.root, name);
      } catch (error) {
        if (!codeOf(error)) throw error;
        last = error;
      }
    }
    if (last) throw last;
  }

  async #askProof(network: ReportedNetwork, stored: StoredBatch, name: string): Promise<void> {
    const { records } = this.#parts;
    const root = network.root();
    const found = retrieving(root).find((node) => node.name === name);
    try {
      if (!found) return fail('BATCH_UNKNOWN');
      const { status, body } = await network.client.request({
        url: found.node.url + batchPath(stored.root),
        maxBytes: MAX_BATCH_PROOF,
        timeoutMs: ANSWER_MS,
      });
      if (status !== 200) return;
      checkBatchProof(root, stored.root, decodeBatchProof(body));
      records.proven(stored.root, body);
    } catch (error) {
      // It forgot, is gone from the policy, or lies: another node gets it.
      const code = codeOf(error);
      if (code === 'BATCH_UNKNOWN' || code === 'BATCH_UNPROVEN' || code?.startsWith('CBOR_'))
        records.handed(stored.root, null);
      throw error;
    }
  }

  #about({ network, root }: StoredBatch): { networkId: Uint8Array; root: Uint8Array } {
    return { networkId: fromHex(network), root };
  }

  #authorKey({ network, author }: RecordOwner): PublicKey | undefined {
    return this.#parts.networks.get(network)?.keys.get(author);
  }

  async #open(stored: StoredBatch): Promise<Batch | undefined> {
    if (!stored.own) return undefined;
    const about = this.#about(stored);
    const plain = await openSealedBatch(this.#key, about, stored.own);
    return readBatch(about.networkId, about.root, plain);
  }

  async #described(stored: StoredBatch, tally: Tally): Promise<BatchForOwner> {
    const { network, author, made, node, proof } = stored;
    const batch = await this.#open(stored);
    return {
      ...(batch && tally.add(batch)),
      root: hex(stored.root),
      network,
      author,
      made,
      state: proof ? 'on the ledger' : node === null ? 'waiting' : 'handed over',
      erased: batch === undefined,
      entry: proof ? decodeBatchProof(proof).logIndex : null,
    };
  }
}

function retrieving({ policy }: Root): readonly NamedNode[] {
  return nodesOf(policy).filter(({ node }) => node.roles.includes('retrieval'));
}

// No node sees to which others a gateway would go.
function shuffled<T>(list: readonly T[], random: Random): readonly T[] {
  return list
    .map((item) => ({ item, at: hex(random(8)) }))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ item }) => item);
}
