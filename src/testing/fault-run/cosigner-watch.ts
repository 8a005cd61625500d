/** T10 from outside: no honest cosigner ever signs two roots of one size, or a smaller head than before. */
import { readFileSync } from 'node:fs';
import type { NamedCosignature } from '../../api/peer.ts';
import { hex } from '../../bytes.ts';
import { decode } from '../../cbor/decode.ts';
import { asArray, asBytes, asUint } from '../../cbor/read.ts';
import type { Replica } from '../../ledger/replica.ts';
import type { FaultNetwork } from './network.ts';
import type { Violations } from './violations.ts';

interface Signed {
  readonly size: number;
  readonly root: string;
}

export class CosignerWatch {
  readonly #network: FaultNetwork;
  readonly #violations: Violations;
  /** Root, by NAME SIZE. */
  readonly #roots = new Map<string, string>();
  readonly #records = new Map<string, Signed>();
  readonly #newest = new Map<string, { readonly time: number; readonly size: number }>();
  readonly #dishonest = new Set<string>();
  readonly #otherClock = new Set<string>();

  constructor(network: FaultNetwork, violations: Violations) {
    this.#network = network;
    this.#violations = violations;
  }

  get count(): number {
    return this.#roots.size;
  }

  /** From now on nothing is expected of its key. */
  excuse(name: string): void {
    this.#dishonest.add(name);
  }

  /** The first one of which nothing is expected. */
  get excused(): string | undefined {
    return this.#dishonest.values().next().value;
  }

  /** Its clock jumps: the times in its signatures say nothing of their order. */
  clockMoved(name: string): void {
    this.#otherClock.add(name);
  }

  /** What a node knows of all the others' signatures. */
  take(from: string, rows: readonly NamedCosignature[]): void {
    for (const { name, size, root, time } of rows) {
      if (this.#dishonest.has(name)) continue;
      this.#one(name, { size, root: hex(root) }, `as ${from} has it`);
      const before = this.#newest.get(name);
      if (!this.#otherClock.has(name) && before)
        this.#violations.check(
          time <= before.time || size >= before.size,
          `${name} cosigned size ${size} after ${before.size}`,
        );
      if (!before || time > before.time) this.#newest.set(name, { time, size });
    }
    this.#readRecord(from);
  }

  #one(name: string, { size, root }: Signed, where: string): void {
    const key = `${name} ${size}`;
    const known = this.#roots.get(key) ?? root;
    this.#roots.set(key, known);
    this.#violations.check(known === root, `${name} cosigned two roots of size ${size}, ${where}`);
  }

  // The record only grows, and is never behind a signature.
  #readRecord(name: string): void {
    const signed = recordOf(this.#network.node(name).config.record);
    if (!signed || signed.size === 0) return;
    const before = this.#records.get(name);
    this.#violations.check(
      !before || signed.size >= before.size,
      `the record of ${name} went from ${before?.size} back to ${signed.size}`,
    );
    this.#records.set(name, signed);
    if (!this.#dishonest.has(name)) this.#one(name, signed, 'by its record');
  }

  /** In the end: every head that was cosigned is one of the ledger's, and no record is behind. */
  judge(replica: Replica): void {
    for (const [key, root] of this.#roots) {
      const [name = '', size = ''] = key.split(' ');
      if (this.#dishonest.has(name) || Number(size) > replica.head().size) continue;
      const own = replica.headOfSize(Number(size));
      this.#violations.check(
        own !== undefined && hex(own.root) === root,
        `${name} cosigned a head of size ${size} that is not the ledger's`,
      );
      const record = recordOf(this.#network.node(name).config.record)?.size ?? 0;
      this.#violations.check(
        record >= Number(size),
        `${name} cosigned size ${size}, its record says ${record}`,
      );
    }
  }
}

/** Undefined before the first signature. Read as a person would: docs/spec/cosigner-record.md. */
function recordOf(file: string): Signed | undefined {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file));
  } catch {
    return undefined;
  }
  const row = asArray(decode(bytes, { maxBytes: 1024 }), 'cosigner record', 6);
  const root = asBytes(row[4] ?? null, 'root', 32);
  return { size: asUint(row[3] ?? null, 'size'), root: hex(root) };
}
