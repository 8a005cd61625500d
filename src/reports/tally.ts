/** What came of each release, by the records of several batches; and which records do not hold (T25). */
import { hex } from '../bytes.ts';
import { check, codeOf } from '../errors.ts';
import type { Batch } from './batch.ts';
import { checkRecord, recordLeaf } from './record.ts';

export interface ReleaseTally {
  readonly line: string;
  /** Manifest digest, hex. */
  readonly release: string;
  readonly devices: number;
  /** How many reports by result: `ok`, or the reason of a failure. */
  readonly results: Readonly<Record<string, number>>;
}

export interface RefusedRecord {
  /** Its leaf, hex. */
  readonly leaf: string;
  readonly code: string;
}

export interface BatchTally {
  readonly root: string;
  readonly from: number;
  readonly until: number;
  /** How many records the batch had; those that are gone were erased, or left out. */
  readonly count: number;
  readonly missing: number;
  readonly refused: readonly RefusedRecord[];
}

interface Counting {
  readonly line: string;
  readonly release: string;
  readonly devices: Set<string>;
  readonly results: Map<string, number>;
}

export class Tally {
  readonly #attempts = new Set<string>();
  readonly #releases = new Map<string, Counting>();

  /** Counts the records of a batch that was read; one that does not hold, or repeats another, is named and not counted. */
  add(batch: Batch): BatchTally {
    const refused: RefusedRecord[] = [];
    for (const record of batch.records) {
      try {
        this.#count(batch, record);
      } catch (error) {
        const code = codeOf(error);
        if (!code) throw error;
        refused.push({ leaf: hex(recordLeaf(record)), code });
      }
    }
    const { root, from, until, count, records } = batch;
    return { root: hex(root), from, until, count, missing: count - records.length, refused };
  }

  #count(batch: Batch, record: Uint8Array): void {
    const { line, release, keyId, attempt, report } = checkRecord(batch.networkId, record);
    // Whatever counted it twice: a report counts once an offer.
    check(!this.#attempts.has(attempt), 'BATCH_RECORD_REPEATED');
    this.#attempts.add(attempt);
    const name = `${line}#${release}`;
    const found: Counting = this.#releases.get(name) ?? {
      line,
      release,
      devices: new Set(),
      results: new Map(),
    };
    this.#releases.set(name, found);
    const result = report.result === true ? 'ok' : report.result.reason;
    found.devices.add(keyId);
    found.results.set(result, (found.results.get(result) ?? 0) + 1);
  }

  releases(): readonly ReleaseTally[] {
    return [...this.#releases.values()].map(({ line, release, devices, results }) => ({
      line,
      release,
      devices: devices.size,
      results: Object.fromEntries(results),
    }));
  }
}
