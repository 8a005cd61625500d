/** The abstract machine of draft 6.4: parameters, a component index, and nested sequences. */
import { check, fail, FirmamentError } from '../errors.ts';
import { act } from './actions.ts';
import type { ActionContext } from './actions.ts';
import type {
  ActionCommand,
  Command,
  ComponentIndex,
  ConditionCommand,
  RunSequence,
  Sequence,
  TryEach,
} from './commands.ts';
import type { Component } from './component-port.ts';
import { meetCondition } from './conditions.ts';
import { indicesOf } from './images.ts';
import { POLICY } from './label.ts';
import type { Parameters } from './parameters.ts';
import type { ReportEntry } from './record.ts';

export interface Machine extends ActionContext {
  readonly maxSteps: number;
  note(entry: ReportEntry): void;
}

/** Soft-failure belongs to one sequence and is forgotten at its end (draft 8.4.8.15). */
interface Frame {
  soft: boolean;
}

/** One run over one manifest; not used again after it has thrown. */
export class Interpreter {
  readonly #machine: Machine;
  #parameters: Parameters[] = [];
  #current: ComponentIndex = 0;
  #strict = true;
  /** Components written and read since order became non-strict. */
  #targets = new Set<number>();
  #sources = new Set<number>();
  #steps = 0;
  #section: { readonly name: string; readonly key: number } = { name: '', key: 0 };
  readonly #located = new WeakSet<FirmamentError>();

  constructor(machine: Machine) {
    this.#machine = machine;
    this.clear();
  }

  /** Forgets every parameter, as before a section: nothing that an earlier one set is left. */
  clear(): void {
    this.#parameters = this.#machine.components.map(() => ({}));
  }

  /** Runs a top-level sequence. `key`: its section in records. Errors: see processManifest. */
  async run(name: string, key: number, sequence: Sequence): Promise<void> {
    this.#section = { name, key };
    this.#current = 0;
    this.#setStrict(true);
    const failure = await this.#sequence(sequence, { soft: false });
    if (failure !== undefined) throw failure;
  }

  /** The condition that failed, or undefined. A directive that fails throws (draft 6.4). */
  async #sequence(sequence: Sequence, frame: Frame): Promise<FirmamentError | undefined> {
    for (const command of sequence) {
      const failure = await this.#command(command, frame);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  async #command(command: Command, frame: Frame): Promise<FirmamentError | undefined> {
    if (command.kind === 'set-component-index') {
      this.#count(command.offset);
      this.#current = command.index;
      return undefined;
    }
    // Draft 6.5: each command runs once for each selected component.
    const selected = this.#current;
    for (const index of indicesOf(selected, this.#machine.components.length)) {
      this.#count(command.offset);
      const component = this.#component(index);
      switch (command.kind) {
        case 'override-parameters':
          this.#override(command.parameters, index, frame);
          break;
        case 'condition': {
          const failure = await this.#condition(command, component);
          if (failure !== undefined) return failure;
          break;
        }
        case 'action':
          await this.#action(command, component);
          break;
        case 'try-each':
          await this.#tryEach(command, index);
          break;
        case 'run-sequence':
          await this.#runSequence(command, index, selected);
          break;
      }
      this.#current = selected;
    }
    return undefined;
  }

  #override(parameters: Parameters, index: number, frame: Frame): void {
    const { strictOrder, softFailure, ...own } = parameters;
    this.#parameters[index] = { ...this.#parameters[index], ...own };
    if (softFailure !== undefined) frame.soft = softFailure;
    if (strictOrder !== undefined) this.#setStrict(strictOrder);
  }

  async #condition(
    { name, policy, offset }: ConditionCommand,
    component: Component,
  ): Promise<FirmamentError | undefined> {
    const parameters = this.#parameters[component.index] ?? {};
    try {
      const { failure, measured } = await meetCondition(
        name,
        parameters,
        component,
        this.#machine.port,
      );
      this.#note(policy, failure === undefined, offset, component, measured);
      return failure === undefined
        ? undefined
        : this.#locate(failure, name, offset, component.index);
    } catch (error) {
      throw this.#locate(error, name, offset, component.index);
    }
  }

  async #action({ name, policy, offset }: ActionCommand, component: Component): Promise<void> {
    const parameters = this.#parameters[component.index] ?? {};
    try {
      this.#checkParallel(name, parameters, component.index);
      await act(name, parameters, component, this.#machine);
    } catch (error) {
      this.#note(policy, false, offset, component, {});
      throw this.#locate(error, name, offset, component.index);
    }
    this.#note(policy, true, offset, component, {});
  }

  /** Draft 6.7: where order is not strict, no component is both written and read. */
  #checkParallel(name: string, { sourceComponent }: Parameters, target: number): void {
    if (this.#strict || name === 'invoke') return;
    this.#targets.add(target);
    if (name === 'swap' && sourceComponent !== undefined) this.#targets.add(sourceComponent);
    const reads = name === 'copy' || name === 'swap';
    if (reads && sourceComponent !== undefined) this.#sources.add(sourceComponent);
    check(
      this.#targets.isDisjointFrom(this.#sources),
      'SUIT_STRICT_ORDER',
      'a component is both a target and a source while strict-order is false (draft 6.7)',
    );
  }

  /** Draft 8.4.10.2: sequences in order until one succeeds; soft-failure starts as true in each. */
  async #tryEach({ sequences, offset }: TryEach, index: number): Promise<void> {
    let last: FirmamentError | undefined;
    for (const sequence of sequences) {
      if (sequence === null) return;
      this.#current = index;
      const frame: Frame = { soft: true };
      last = await this.#sequence(sequence, frame);
      if (last === undefined) return;
      if (!frame.soft) throw last;
    }
    const error = new FirmamentError('SUIT_TRY_EACH_EXHAUSTED', undefined, {}, { cause: last });
    throw this.#locate(error, 'try-each', offset, index);
  }

  /** Draft 8.4.10.8: soft-failure starts as false. */
  async #runSequence(
    { sequence, offset }: RunSequence,
    index: number,
    selected: ComponentIndex,
  ): Promise<void> {
    const strict = this.#strict;
    this.#current = index;
    if (!strict) {
      this.#checkIsolated(sequence, selected, offset, index);
      this.#strict = true;
    }
    const frame: Frame = { soft: false };
    const failure = await this.#sequence(sequence, frame);
    if (failure !== undefined && !frame.soft) throw failure;
    this.#strict = strict;
  }

  /** Draft 6.7: what a sequence may do that could run in parallel with others. */
  #checkIsolated(
    sequence: Sequence,
    selected: ComponentIndex,
    offset: number,
    index: number,
  ): void {
    const single = typeof selected === 'number';
    const begins = sequence[0]?.kind === 'set-component-index';
    const rest = single ? sequence.slice(1) : sequence;
    if ((single && !begins) || rest.some(setsComponentIndex)) {
      const error = new FirmamentError(
        'SUIT_STRICT_ORDER',
        'while strict-order is false a run-sequence selects its component once, at its start, or not at all for several components (draft 6.7)',
      );
      throw this.#locate(error, 'run-sequence', offset, index);
    }
  }

  #setStrict(strict: boolean): void {
    this.#strict = strict;
    if (!strict) return;
    this.#targets.clear();
    this.#sources.clear();
  }

  #component(index: number): Component {
    return this.#machine.components[index] ?? fail('SUIT_COMPONENT_INDEX_RANGE');
  }

  #count(offset: number): void {
    check(
      ++this.#steps <= this.#machine.maxSteps,
      'SUIT_STEPS_EXHAUSTED',
      `more than ${this.#machine.maxSteps} commands were run`,
      { section: this.#section.name, offset },
    );
  }

  #note(
    policy: number,
    success: boolean,
    offset: number,
    component: Component,
    properties: Parameters,
  ): void {
    const record = success ? POLICY.recordOnSuccess : POLICY.recordOnFailure;
    const system = success ? POLICY.systemOnSuccess : POLICY.systemOnFailure;
    const { index: componentIndex, id: componentId } = component;
    if ((policy & record) !== 0)
      this.#machine.note({
        kind: 'record',
        manifestId: [],
        section: this.#section.key,
        offset,
        componentIndex,
        properties,
      });
    // CDDL system-property-claims has one property or more.
    if ((policy & system) !== 0 && Object.keys(properties).length > 0)
      this.#machine.note({ kind: 'claims', componentId, properties });
  }

  /** The same refusal with the place of the command; once, however deep it came from. */
  #locate(error: unknown, command: string, offset: number, component: number): FirmamentError {
    if (error instanceof FirmamentError && this.#located.has(error)) return error;
    const { name, key } = this.#section;
    const known = error instanceof FirmamentError;
    const code = known ? error.code : 'SUIT_OPERATION_FAILED';
    const reason = error instanceof Error ? error.message : String(error);
    const located = new FirmamentError(
      code,
      `${name}: ${command} at byte ${offset}, component ${component}: ${reason}`,
      { ...(known ? error.details : {}), section: name, sectionKey: key, offset, component },
      { cause: error },
    );
    this.#located.add(located);
    return located;
  }
}

function setsComponentIndex(command: Command): boolean {
  if (command.kind === 'set-component-index') return true;
  if (command.kind === 'run-sequence') return command.sequence.some(setsComponentIndex);
  return (
    command.kind === 'try-each' &&
    command.sequences.some((sequence) => sequence?.some(setsComponentIndex) === true)
  );
}
