/** What a device does for the command interpreter: the only way that a manifest acts on anything. */
import { hex } from '../bytes.ts';
import type { DigestAlgorithm, SuitDigest } from './digest.ts';
import type { WaitEvent } from './wait-info.ts';

export interface Component {
  /** Its place in the manifest's list. */
  readonly index: number;
  readonly id: readonly Uint8Array[];
}

export type IdentifierKind = 'vendor' | 'class' | 'device';

export interface FetchRequest {
  readonly uri: string;
  /** The most bytes that may be stored. */
  readonly maxBytes: number;
  /** What image-match will ask for, when the manifest says it before the fetch: hints. */
  readonly size: number | undefined;
  readonly digest: SuitDigest | undefined;
  readonly arguments: Uint8Array | undefined;
}

export interface Measurement {
  readonly digest: Uint8Array;
  /** Bytes. */
  readonly size: number;
}

/**
 * Calls come one at a time, in the order of the manifest. What changes a component (fetch, write,
 * copy, swap) may be cut short at any byte by a loss of power: a device marks nothing as installed
 * before the whole install section has ended, and a manifest can be run again from its start.
 * A refusal throws; a FirmamentError's code is kept.
 */
export interface ComponentPort {
  /** Whether the device has this component. */
  has(component: Component): Promise<boolean>;
  /** The UUIDs that this component answers to. */
  identifiers(component: Component, kind: IdentifierKind): Promise<readonly Uint8Array[]>;
  slot(component: Component): Promise<number | undefined>;
  /** Digest and size of what the component holds; undefined when it holds nothing. `size`: what the manifest expects, for components that do not know their end. */
  measure(
    component: Component,
    algorithm: DigestAlgorithm,
    size: number | undefined,
  ): Promise<Measurement | undefined>;
  /** The first bytes of what the component holds, at most `maxBytes`; undefined: nothing. */
  read(component: Component, maxBytes: number): Promise<Uint8Array | undefined>;
  fetch(component: Component, request: FetchRequest): Promise<void>;
  write(component: Component, content: Uint8Array): Promise<void>;
  /** `target` then holds what `source` holds, at most `maxBytes`. */
  copy(target: Component, source: Component, maxBytes: number): Promise<void>;
  swap(target: Component, source: Component): Promise<void>;
  /** May never return. */
  invoke(component: Component, args: Uint8Array | undefined): Promise<void>;

  // What not every device has. A command that needs one that is missing is refused.

  /** Texts in pieces, for decrypting. */
  readonly streams?: ComponentStreams;
  /** Seconds since 1970, of a clock that the device believes. */
  now?(): Promise<bigint>;
  /** mWh. */
  battery?(): Promise<number>;
  /** Whether the application gives leave; `priority`: smaller is more urgent. */
  authorize?(priority: number): Promise<boolean>;
  version?(component: Component): Promise<readonly number[] | undefined>;
  /** Whether the event is here. May wait for it as long as it likes; false ends the run. */
  wait?(event: WaitEvent): Promise<boolean>;
  /**
   * The manifest of this digest needs the component no longer. Counted once for each manifest and
   * component, however often it is called (trust-domains 5.7.5).
   */
  unlink?(component: Component, manifestDigest: Uint8Array): Promise<void>;
}

/** Nothing is held in memory as a whole. */
export interface ComponentStreams {
  /** What the component holds; nothing at all throws. */
  contents(component: Component): AsyncIterable<Uint8Array>;
  /** What lies at the URI. `digest` and `size` are those of the plaintext. */
  open(component: Component, request: FetchRequest): AsyncIterable<Uint8Array>;
  /**
   * The component then holds the pieces. If they throw, it holds what it held, or nothing: a text
   * that was cut short or not authentic is never taken for contents.
   */
  store(component: Component, pieces: AsyncIterable<Uint8Array>): Promise<void>;
}

/**
 * A name for a component that is safe in a path: its parts in hex, joined by dots, an empty part as
 * a dash. Identifiers come from the manifest, so `..` must never reach a file system as it is, and
 * three empty parts would be `..` without the dash.
 */
export function componentName(id: readonly Uint8Array[]): string {
  return id.map((part) => (part.length === 0 ? '-' : hex(part))).join('.');
}
