/**
 * Storage in memory that forgets what was not synced, for tests that cut the power. Content is durable
 * after `sync`, names after `syncFolder`; a cut loses, keeps or tears the rest.
 */
import { dirname } from 'node:path';
import type { Files } from '../reader/files.ts';

interface Content {
  bytes: Uint8Array;
  durable: Uint8Array;
}

/** What becomes of unsynced names and of unsynced bytes. `newest`: only the last change of a name was kept. */
export interface Cut {
  readonly names: 'lost' | 'kept' | 'newest';
  readonly bytes: 'lost' | 'kept' | 'torn';
}

export const CUTS: readonly Cut[] = (['lost', 'kept', 'newest'] as const).flatMap((names) =>
  (['lost', 'kept', 'torn'] as const).map((bytes) => ({ names, bytes })),
);

export class PowerGone extends Error {
  constructor() {
    super('power gone');
  }
}

export class SimulatedDisk implements Files {
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #newest: ((names: Map<string, Content>) => void) | undefined;
  #operations = 0;
  #fault: { readonly at: number; readonly when: 'before' | 'after' } | undefined;
  #off = false;

  /** Changes asked for since the last power cut. */
  get operations(): number {
    return this.#operations;
  }

  /** The power went at a fault, and has not come back. */
  get off(): boolean {
    return this.#off;
  }

  /** The power goes before or after the `at`th change from now, counted from 0. */
  failAt(at: number, when: 'before' | 'after'): void {
    this.#fault = { at: this.#operations + at, when };
  }

  /** The power goes, if it has not yet, and comes back. */
  cut({ names, bytes }: Cut): void {
    if (names !== 'kept') this.#names = new Map(this.#durableNames);
    if (names === 'newest') this.#newest?.(this.#names);
    this.#newest = undefined;
    for (const content of new Set(this.#names.values())) {
      if (bytes === 'lost') content.bytes = content.durable;
      else if (bytes === 'torn') content.bytes = torn(content);
      content.durable = content.bytes;
    }
    this.#durableNames = new Map(this.#names);
    this.#fault = undefined;
    this.#off = false;
    this.#operations = 0;
  }

  /** Another one with the same content, after a cut that kept everything. */
  copy(): SimulatedDisk {
    const copy = new SimulatedDisk();
    copy.#names = new Map([...this.#names].map(([name, content]) => [name, { ...content }]));
    copy.cut({ names: 'kept', bytes: 'kept' });
    return copy;
  }

  /** Damages stored bytes, as a failing chip would. */
  damage(path: string, offset: number): void {
    const content = this.#content(path);
    content.bytes = content.bytes.slice();
    content.bytes[offset] = (content.bytes[offset] ?? 0) ^ 1;
    content.durable = content.bytes;
  }

  async size(path: string): Promise<number | undefined> {
    this.#powered();
    return this.#names.get(path)?.bytes.length;
  }

  async read(path: string, offset: number, length: number): Promise<Uint8Array> {
    this.#powered();
    return this.#content(path).bytes.slice(offset, offset + length);
  }

  async write(path: string, offset: number, bytes: Uint8Array): Promise<void> {
    this.#change(() => {
      const content = this.#names.get(path) ?? { bytes: EMPTY, durable: EMPTY };
      const grown = new Uint8Array(Math.max(content.bytes.length, offset + bytes.length));
      grown.set(content.bytes);
      grown.set(bytes, offset);
      content.bytes = grown;
      if (!this.#names.has(path)) this.#rename((names) => names.set(path, content));
    });
  }

  async truncate(path: string, size: number): Promise<void> {
    this.#change(() => {
      const content = this.#content(path);
      const cut = new Uint8Array(size);
      cut.set(content.bytes.subarray(0, size));
      content.bytes = cut;
    });
  }

  async sync(path: string): Promise<void> {
    this.#change(() => {
      const content = this.#content(path);
      content.durable = content.bytes;
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#change(() => {
      const content = this.#content(from);
      this.#rename((names) => {
        names.set(to, content);
        names.delete(from);
      });
    });
  }

  async remove(path: string): Promise<void> {
    this.#change(() => this.#rename((names) => names.delete(path)));
  }

  async makeFolder(_path: string): Promise<void> {
    this.#powered();
  }

  async syncFolder(path: string): Promise<void> {
    this.#change(() => {
      const inside = (name: string): boolean => dirname(name) === path;
      for (const name of [...this.#durableNames.keys()].filter(inside))
        this.#durableNames.delete(name);
      for (const [name, content] of this.#names)
        if (inside(name)) this.#durableNames.set(name, content);
      this.#newest = undefined;
    });
  }

  #rename(apply: (names: Map<string, Content>) => unknown): void {
    apply(this.#names);
    this.#newest = apply;
  }

  #content(path: string): Content {
    const content = this.#names.get(path);
    if (!content) throw Object.assign(new Error(`no such file: ${path}`), { code: 'ENOENT' });
    return content;
  }

  #powered(): void {
    if (this.#off) throw new PowerGone();
  }

  #change(make: () => unknown): void {
    this.#powered();
    const hit = this.#fault?.at === this.#operations;
    this.#operations++;
    if (hit && this.#fault?.when === 'before') this.#off = true;
    this.#powered();
    make();
    if (hit) this.#off = true;
    this.#powered();
  }
}

const EMPTY = new Uint8Array();

// The first half of what changed has reached the storage; a file that grew has its length and zeros.
function torn({ bytes, durable }: Content): Uint8Array {
  if (bytes === durable) return bytes;
  const mixed = new Uint8Array(bytes.length);
  mixed.set(durable.subarray(0, bytes.length));
  mixed.set(bytes.subarray(0, bytes.length >> 1));
  return mixed;
}
