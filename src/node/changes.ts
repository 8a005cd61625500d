/** Which lines each new quorum head changed, for as long back as somebody who was away a moment may ask. */
import { codeOf } from '../errors.ts';
import { MAX_CHANGED_LINES, type Change } from '../api/changes.ts';
import { lineText, parseLineText } from '../registry/line.ts';
import { parseStatement } from '../registry/statement.ts';
import type { Heads } from './heads.ts';

export interface ChangeSource {
  /** The statement at a log index; undefined for what is none. */
  statement(index: number): { readonly bytes: Uint8Array } | undefined;
}

/** Heads that are remembered. */
const MAX_HEADS = 128;
/** A node that was away for longer than this says "any line". */
const MAX_ENTRIES = 1024;

export class Changes implements Disposable {
  readonly #source: ChangeSource;
  readonly #heads: Pick<Heads, 'hasQuorum' | 'quorum' | 'onChange'>;
  readonly #listeners = new Set<() => void>();
  readonly #known: Change[] = [];
  readonly #stop: () => void;
  /** Size before the first of `known`. */
  #before = 0;
  #size = 0;

  constructor(source: ChangeSource, heads: Pick<Heads, 'hasQuorum' | 'quorum' | 'onChange'>) {
    this.#source = source;
    this.#heads = heads;
    this.#size = heads.hasQuorum() ? heads.quorum().head.size : 0;
    this.#before = this.#size;
    this.#stop = heads.onChange(() => this.#look());
  }

  /** What changed after a head of this size; undefined: nothing, or there is no head yet. */
  since(size: number | undefined): Change | undefined {
    if (this.#size === 0 || (size !== undefined && size >= this.#size)) return undefined;
    if (size === undefined || size < this.#before) return { size: this.#size, lines: null };
    return merged(
      this.#known.filter((change) => change.size > size),
      this.#size,
    );
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  // Most calls are about a cosignature that moves nothing.
  #look(): void {
    if (!this.#heads.hasQuorum()) return;
    const { size } = this.#heads.quorum().head;
    if (size <= this.#size) return;
    this.#known.push({ size, lines: this.#linesBetween(this.#size, size) });
    this.#size = size;
    if (this.#known.length > MAX_HEADS) this.#before = this.#known.shift()?.size ?? 0;
    for (const wake of this.#listeners) wake();
  }

  #linesBetween(from: number, to: number): readonly string[] | null {
    if (to - from > MAX_ENTRIES) return null;
    const lines = new Set<string>();
    for (let index = from; index < to; index++) {
      const stored = this.#source.statement(index);
      const about = stored ? lineOf(stored.bytes) : undefined;
      if (about === null) return null;
      if (about !== undefined) lines.add(about);
      if (lines.size > MAX_CHANGED_LINES) return null;
    }
    return [...lines];
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

/** Null: it may change any line; undefined: it changes none. */
function lineOf(bytes: Uint8Array): string | null | undefined {
  try {
    const { kind, subject } = parseStatement(bytes);
    if (kind === 'author.register') return undefined;
    // A line, or a line and one of its releases.
    return lineText(parseLineText(subject.split('#', 1)[0] ?? ''));
  } catch (error) {
    if (codeOf(error)) return null;
    throw error;
  }
}

function merged(changes: readonly Change[], size: number): Change {
  const lines = new Set<string>();
  for (const change of changes) {
    if (change.lines === null) return { size, lines: null };
    for (const line of change.lines) lines.add(line);
  }
  return { size, lines: lines.size > MAX_CHANGED_LINES ? null : [...lines] };
}
