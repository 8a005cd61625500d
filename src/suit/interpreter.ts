/** The abstract machine of draft 6.4: parameters, a component index, and nested sequences. */
import { check, fail, FirmamentError } from '../errors.ts';
import { act } from './actions.ts';
import type { ActionContext } from './actions.ts';
import type { AuthenticatedEnvelope, Trust } from './authenticate.ts';
import type {
  ActionCommand,
  Command,
  ComponentIndex,
  ConditionCommand,
  CopyParams,
  RunSequence,
  Sequence,
  TryEach,
} from './commands.ts';
import { componentName } from './component-port.ts';
import type { Component } from './component-port.ts';
import { meetCondition } from './conditions.ts';
import { CheckedDependencies, runningManifest } from './dependency.ts';
import type { RunningManifest } from './dependency.ts';
import { copiedParameters, indicesOf } from './images.ts';
import { MANIFEST, POLICY, SECTION } from './label.ts';
import type { ActionName, SectionName } from './label.ts';
import { sectionOf } from './manifest.ts';
import { checkIsolated, ParallelOrder } from './parallel-order.ts';
import type { Parameters } from './parameters.ts';
import { ProvenContents } from './proven-contents.ts';
import type { ReportEntry } from './record.ts';

export interface Machine extends ActionContext {
  readonly maxSteps: number;
  /** Whom to believe about dependencies. */
  readonly trust: Trust;
  note(entry: ReportEntry): void;
}

/** Soft-failure belongs to one sequence and is forgotten at its end (draft 8.4.8.15). */
interface Frame {
  soft: boolean;
}

/** Parameters of one component. `source`: what source-component meant where it was set. */
interface Settings {
  readonly parameters: Parameters;
  readonly source: Component | undefined;
}

const UNSET: Settings = { parameters: {}, source: undefined };
/** What has changed a component when it is done. */
const STORES: ReadonlySet<ActionName> = new Set(['write', 'fetch', 'copy', 'swap']);

/** One run over one manifest and its dependencies; not used again after it has thrown. */
export class Interpreter {
  readonly #machine: Machine;
  readonly #root: RunningManifest;
  readonly #dependencies: CheckedDependencies;
  readonly #order = new ParallelOrder();
  readonly #proven = new ProvenContents();
  /** By component name: a dependency sets and sees what its dependent sees (trust-domains 5.4). */
  readonly #settings = new Map<string, Settings>();
  #running: RunningManifest;
  #section: SectionName = 'install';
  /** The sequence that runs, as records and refusals name it. */
  #place: { readonly name: string; readonly key: number } = { name: '', key: 0 };
  #current: ComponentIndex = 0;
  #steps = 0;
  readonly #located = new WeakSet<FirmamentError>();

  constructor(verified: AuthenticatedEnvelope, machine: Machine) {
    this.#machine = machine;
    this.#root = runningManifest(verified, []);
    this.#running = this.#root;
    this.#dependencies = new CheckedDependencies(machine.port, machine.trust);
  }

  /**
   * Runs a section of the root, the shared sequence before it, from empty parameters.
   * Errors: see processManifest.
   */
  async run(section: SectionName): Promise<void> {
    this.#settings.clear();
    await this.#runSection(section);
    this.#proven.checkAll();
  }

  /** Shared sequence and section of the running manifest, if it has the section. */
  async #runSection(section: SectionName): Promise<void> {
    const running = this.#running;
    const sequence = sectionOf(running.manifest, section);
    if (sequence === undefined) return;
    this.#section = section;
    running.processed.clear();
    const { sharedSequence } = running.manifest;
    if (sharedSequence !== undefined) await this.#runTop('shared', MANIFEST.common, sharedSequence);
    await this.#runTop(section, SECTION[section], sequence);
    this.#dependencies.checkProcessed(running, section);
  }

  async #runTop(name: string, key: number, sequence: Sequence): Promise<void> {
    this.#place = { name, key };
    this.#current = 0;
    this.#order.strict = true;
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
    if (command.kind === 'override-multiple') {
      for (const [index, parameters] of command.entries) {
        this.#count(command.offset);
        this.#override(parameters, index);
        this.#current = index;
      }
      return undefined;
    }
    // Draft 6.5: each command runs once for each selected component.
    const selected = this.#current;
    for (const index of indicesOf(selected, this.#running.components.length)) {
      this.#count(command.offset);
      const component = this.#component(index);
      switch (command.kind) {
        case 'override-parameters':
          this.#override(command.parameters, index);
          frame.soft = command.parameters.softFailure ?? frame.soft;
          break;
        case 'set-parameters':
          this.#setUnset(command.parameters, index);
          break;
        case 'copy-params':
          this.#copyParams(command, index);
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

  #override(given: Parameters, index: number): void {
    // soft-failure belongs to the sequence: see #command.
    const { strictOrder, softFailure: _softFailure, ...own } = given;
    const { parameters, source } = this.#settingsOf(index);
    this.#settings.set(this.#name(index), {
      parameters: { ...parameters, ...own },
      source: own.sourceComponent === undefined ? source : this.#component(own.sourceComponent),
    });
    if (strictOrder !== undefined) this.#order.strict = strictOrder;
  }

  /** trust-domains 5.7.1. */
  #setUnset(given: Parameters, index: number): void {
    const set = this.#settingsOf(index).parameters;
    const unset = Object.entries(given).filter(([name]) => !Object.hasOwn(set, name));
    this.#override(Object.fromEntries(unset), index);
  }

  /** update-management 6.8: as override-parameters, with what other components have. */
  #copyParams({ entries, offset }: CopyParams, index: number): void {
    const copied = copiedParameters(entries, (from) => this.#settingsOf(from).parameters);
    for (const [from, names] of entries)
      for (const name of names)
        if (copied[name] === undefined) {
          const message = `component ${from} has no ${name} to copy`;
          const error = new FirmamentError('SUIT_PARAMETER_MISSING', message);
          throw this.#locate(error, 'copy-params', offset, index);
        }
    this.#override(copied, index);
  }

  async #condition(
    { name, policy, offset }: ConditionCommand,
    component: Component,
  ): Promise<FirmamentError | undefined> {
    const { index } = component;
    const { parameters } = this.#settingsOf(index);
    try {
      if (name === 'dependency-integrity') {
        // Not a condition that may fail softly: trust-domains 5.7.4 aborts.
        await this.#dependencies.check(this.#running, index, parameters);
        this.#note(policy, true, offset, component, {});
        return undefined;
      }
      const { failure, measured } = await meetCondition(name, parameters, component, {
        port: this.#machine.port,
        isDependency: this.#running.manifest.dependencies.has(index),
        dependencyVersion: this.#dependencies.get(this.#running, index)?.manifest.version,
      });
      if (failure === undefined && (name === 'image-match' || name === 'check-content'))
        this.#proven.matched(this.#name(index));
      if (failure === undefined && name === 'image-match' && parameters.imageDigest !== undefined)
        this.#dependencies.matched(this.#running, index, parameters.imageDigest);
      this.#note(policy, failure === undefined, offset, component, measured);
      return failure === undefined ? undefined : this.#locate(failure, name, offset, index);
    } catch (error) {
      if (name === 'dependency-integrity') this.#note(policy, false, offset, component, {});
      throw this.#locate(error, name, offset, index);
    }
  }

  async #action({ name, policy, offset }: ActionCommand, component: Component): Promise<void> {
    const { index } = component;
    try {
      if (name === 'process-dependency') await this.#processDependency(index, this.#section);
      else {
        const isDependency = this.#running.manifest.dependencies.has(index);
        if (name === 'unlink' && isDependency) await this.#processDependency(index, 'uninstall');
        await this.#act(name, component);
      }
    } catch (error) {
      this.#note(policy, false, offset, component, {});
      throw this.#locate(error, name, offset, index);
    }
    this.#note(policy, true, offset, component, {});
  }

  async #act(name: Exclude<ActionName, 'process-dependency'>, component: Component): Promise<void> {
    const { parameters, source } = this.#settingsOf(component.index);
    const target = this.#name(component.index);
    const reads = name === 'copy' || name === 'swap';
    const from = reads && source !== undefined ? componentName(source.id) : undefined;
    this.#order.checkAccess(name, target, from);
    if (name === 'invoke' || name === 'swap') this.#proven.check(target);
    if (from !== undefined) this.#proven.check(from);
    const { manifestDigest, integrated } = this.#envelopeParts();
    const bare = await act(
      { name, parameters, component, source, integrated, manifestDigest },
      this.#machine,
    );
    if (!STORES.has(name)) return;
    this.#proven.stored(target, bare, from);
    this.#dependencies.forget(target);
    if (name === 'swap' && from !== undefined) {
      this.#proven.stored(from, false, target);
      this.#dependencies.forget(from);
    }
  }

  #envelopeParts(): {
    readonly manifestDigest: Uint8Array;
    readonly integrated: ReadonlyMap<string, Uint8Array>;
  } {
    const { digest, integrated } = this.#running.verified.envelope;
    return { manifestDigest: digest, integrated };
  }

  /** trust-domains 5.4: its shared sequence and the same section, as part of this one. */
  async #processDependency(index: number, section: SectionName): Promise<void> {
    const dependent = this.#running;
    const [own, place, strict] = [this.#section, this.#place, this.#order.strict];
    const dependency = await this.#dependencies.required(dependent, index);
    this.#running = dependency;
    try {
      await this.#runSection(section);
    } finally {
      this.#running = dependent;
      [this.#section, this.#place] = [own, place];
    }
    this.#order.strict = strict;
    dependent.processed.add(index);
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
    const { strict } = this.#order;
    this.#current = index;
    if (!strict) {
      try {
        checkIsolated(sequence, selected);
      } catch (error) {
        throw this.#locate(error, 'run-sequence', offset, index);
      }
      this.#order.suspend();
    }
    const frame: Frame = { soft: false };
    const failure = await this.#sequence(sequence, frame);
    if (failure !== undefined && !frame.soft) throw failure;
    this.#order.resume(strict);
  }

  #component(index: number): Component {
    return this.#running.components[index] ?? fail('SUIT_COMPONENT_INDEX_RANGE');
  }

  #name(index: number): string {
    return this.#running.names[index] ?? fail('SUIT_COMPONENT_INDEX_RANGE');
  }

  #settingsOf(index: number): Settings {
    return this.#settings.get(this.#name(index)) ?? UNSET;
  }

  #count(offset: number): void {
    check(
      ++this.#steps <= this.#machine.maxSteps,
      'SUIT_STEPS_EXHAUSTED',
      `more than ${this.#machine.maxSteps} commands were run`,
      { section: this.#place.name, offset },
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
        manifestId: this.#running.path,
        section: this.#place.key,
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
    const { name, key } = this.#place;
    const path = this.#running.path.join('/');
    const known = error instanceof FirmamentError;
    const code = known ? error.code : 'SUIT_OPERATION_FAILED';
    const reason = error instanceof Error ? error.message : String(error);
    const located = new FirmamentError(
      code,
      `${path === '' ? '' : `dependency ${path}: `}${name}: ${command} at byte ${offset}, component ${component}: ${reason}`,
      {
        ...(known ? error.details : {}),
        section: name,
        sectionKey: key,
        offset,
        component,
        ...(path === '' ? {} : { manifest: path }),
      },
      { cause: error },
    );
    this.#located.add(located);
    return located;
  }
}
