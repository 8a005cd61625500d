/**
 * The registry's window on its state. Records are named; the map is the one that devices read.
 * An implementation keeps nothing in memory that grows with the ledger.
 */
import { hex } from '../bytes.ts';

export interface View {
  get(name: string): Uint8Array | undefined;
  set(name: string, value: Uint8Array): void;
  getMap(key: Uint8Array): Uint8Array | undefined;
  setMap(key: Uint8Array, value: Uint8Array): void;
}

export interface Changes {
  readonly records: ReadonlyMap<string, Uint8Array>;
  /** By the hex of the map key. */
  readonly map: ReadonlyMap<string, { readonly key: Uint8Array; readonly value: Uint8Array }>;
}

export interface Overlay extends View {
  changes(): Changes;
  /** Pushes every change into the view below, in the order in which names were first written. */
  commit(): void;
}

/** Writes are kept apart from the view below until `commit`: a refused statement leaves no trace. */
export function overlay(below: View): Overlay {
  const records = new Map<string, Uint8Array>();
  const map = new Map<string, { readonly key: Uint8Array; readonly value: Uint8Array }>();
  return {
    get: (name) => records.get(name) ?? below.get(name),
    set: (name, value) => void records.set(name, value),
    getMap: (key) => map.get(hex(key))?.value ?? below.getMap(key),
    setMap: (key, value) => void map.set(hex(key), { key, value }),
    changes: () => ({ records, map }),
    commit() {
      for (const [name, value] of records) below.set(name, value);
      for (const { key, value } of map.values()) below.setMap(key, value);
    },
  };
}

/** A view in memory, for dry runs and tests. */
export function memoryView(): View {
  const records = new Map<string, Uint8Array>();
  const map = new Map<string, Uint8Array>();
  return {
    get: (name) => records.get(name),
    set: (name, value) => void records.set(name, value),
    getMap: (key) => map.get(hex(key)),
    setMap: (key, value) => void map.set(hex(key), value),
  };
}
