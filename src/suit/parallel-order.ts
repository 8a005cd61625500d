/** strict-order (draft 6.7): while it is false, no component is both written and read. */
import { check, fail } from '../errors.ts';
import type { Command, ComponentIndex, Sequence } from './commands.ts';

export class ParallelOrder {
  #strict = true;
  /** Components written and read since order became non-strict. */
  readonly #targets = new Set<string>();
  readonly #sources = new Set<string>();

  get strict(): boolean {
    return this.#strict;
  }

  set strict(strict: boolean) {
    this.#strict = strict;
    if (!strict) return;
    this.#targets.clear();
    this.#sources.clear();
  }

  /** As at the begin of a nested sequence: strict inside, with what is known kept. */
  suspend(): void {
    this.#strict = true;
  }

  resume(strict: boolean): void {
    this.#strict = strict;
  }

  /** Errors: SUIT_STRICT_ORDER. */
  checkAccess(action: string, target: string, source: string | undefined): void {
    if (this.#strict || !ACCESSES.has(action)) return;
    this.#targets.add(target);
    if (source !== undefined && action === 'swap') this.#targets.add(source);
    if (source !== undefined && action !== 'fetch' && action !== 'write') this.#sources.add(source);
    check(
      this.#targets.isDisjointFrom(this.#sources),
      'SUIT_STRICT_ORDER',
      'a component is both a target and a source while strict-order is false (draft 6.7)',
    );
  }
}

const ACCESSES: ReadonlySet<string> = new Set(['write', 'fetch', 'copy', 'swap']);

/** What a run-sequence that could run beside others may do (draft 6.7). Errors: SUIT_STRICT_ORDER. */
export function checkIsolated(sequence: Sequence, selected: ComponentIndex): void {
  const single = typeof selected === 'number';
  const begins = sequence[0]?.kind === 'set-component-index';
  const rest = single ? sequence.slice(1) : sequence;
  if ((single && !begins) || rest.some(setsComponentIndex))
    fail(
      'SUIT_STRICT_ORDER',
      'while strict-order is false a run-sequence selects its component once, at its start, or not at all for several components (draft 6.7)',
    );
}

function setsComponentIndex(command: Command): boolean {
  if (command.kind === 'set-component-index' || command.kind === 'override-multiple') return true;
  if (command.kind === 'run-sequence') return command.sequence.some(setsComponentIndex);
  return (
    command.kind === 'try-each' &&
    command.sequences.some((sequence) => sequence?.some(setsComponentIndex) === true)
  );
}
