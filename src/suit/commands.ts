/** Command sequences (draft 8.4.6): parsed strictly, whatever is unknown refused by name. */
import { check, fail } from '../errors.ts';
import { asArray, asInteger, asMap, asUint, asWrapped } from './item-read.ts';
import type { Item } from './item.ts';
import { ACTION, CONDITION, CONTROL, nameOf, PARAMETER } from './label.ts';
import type { ActionName, ConditionName } from './label.ts';
import { readParameters } from './parameters.ts';
import type { Parameters } from './parameters.ts';

/** `true`: every component; an array: those listed; a number: that one (draft 6.5). */
export type ComponentIndex = number | true | readonly number[];

/** A parameter that belongs to a component: not strict-order, not soft-failure. */
export type ParameterName = Exclude<keyof Parameters, 'strictOrder' | 'softFailure'>;

interface Located {
  /** Bytes from the start of the top-level sequence to the command's number. */
  readonly offset: number;
}

export interface ConditionCommand extends Located {
  readonly kind: 'condition';
  readonly name: ConditionName;
  readonly policy: number;
}
export interface ActionCommand extends Located {
  readonly kind: 'action';
  readonly name: ActionName;
  readonly policy: number;
}
export interface SetComponentIndex extends Located {
  readonly kind: 'set-component-index';
  readonly index: ComponentIndex;
}
export interface OverrideParameters extends Located {
  readonly kind: 'override-parameters';
  readonly parameters: Parameters;
}
/** Sets what is not set yet (trust-domains). */
export interface SetParameters extends Located {
  readonly kind: 'set-parameters';
  readonly parameters: Parameters;
}
/** Overrides parameters of several components and leaves the last as the current one. */
export interface OverrideMultiple extends Located {
  readonly kind: 'override-multiple';
  /** Never empty; by component index. */
  readonly entries: readonly (readonly [index: number, parameters: Parameters])[];
}
/** Takes parameters over from other components. */
export interface CopyParams extends Located {
  readonly kind: 'copy-params';
  /** Never empty; by component index. */
  readonly entries: readonly (readonly [index: number, names: readonly ParameterName[]])[];
}
export interface TryEach extends Located {
  readonly kind: 'try-each';
  /** `null`, only as the last: succeeds without doing anything. */
  readonly sequences: readonly (Sequence | null)[];
}
export interface RunSequence extends Located {
  readonly kind: 'run-sequence';
  readonly sequence: Sequence;
}

export type Command =
  | ConditionCommand
  | ActionCommand
  | SetComponentIndex
  | OverrideParameters
  | SetParameters
  | OverrideMultiple
  | CopyParams
  | TryEach
  | RunSequence;

/** Never empty. */
export type Sequence = readonly Command[];

/** How deep try-each and run-sequence may nest. */
export const MAX_NESTING = 4;

export interface SequencePlace {
  readonly what: string;
  readonly shared: boolean;
  readonly componentCount: number;
}

interface Scope extends SequencePlace {
  /** Offset of the top-level sequence's first byte. */
  readonly origin: number;
  readonly depth: number;
}

/**
 * A top-level command sequence. Errors: SUIT_COMMAND_*, SUIT_PARAMETER_*, SUIT_CUSTOM_IN_SHARED,
 * SUIT_SOFT_FAILURE_MISPLACED, SUIT_COMPONENT_INDEX_*, SUIT_POLICY_INVALID, SUIT_TOO_DEEP, SUIT_TYPE.
 */
export function readSequence(item: Item, place: SequencePlace): Sequence {
  const sequence = readCommands(item, { ...place, origin: item.start, depth: 0 });
  // Draft 6.2: with more than one component each sequence begins with set-component-index.
  check(
    place.componentCount < 2 || sequence[0]?.kind === 'set-component-index',
    'SUIT_COMPONENT_INDEX_MISSING',
    `${place.what}: with ${place.componentCount} components the sequence must begin with set-component-index`,
    { offset: item.start },
  );
  return sequence;
}

function readCommands(item: Item, scope: Scope): Sequence {
  const { items } = asArray(item, scope.what);
  if (items.length === 0 || items.length % 2 !== 0)
    return fail(
      'SUIT_TYPE',
      `${scope.what}: the sequence at byte ${item.start} must be pairs of command and argument, one at least`,
      { offset: item.start },
    );
  const commands: Command[] = [];
  for (let i = 0; i < items.length; i += 2)
    commands.push(readCommand(items[i] as Item, items[i + 1] as Item, scope));
  return commands;
}

function readCommand(code: Item, argument: Item, scope: Scope): Command {
  const number = asInteger(code, `${scope.what}: command number`);
  const offset = code.start - scope.origin;
  const condition = nameOf(CONDITION, number);
  if (condition !== undefined)
    return { kind: 'condition', name: condition, policy: readPolicy(argument, scope), offset };
  const action = nameOf(ACTION, number);
  if (action !== undefined) {
    checkPlace(scope, action, code);
    return { kind: 'action', name: action, policy: readPolicy(argument, scope), offset };
  }
  switch (nameOf(CONTROL, number)) {
    case 'set-component-index':
      return { kind: 'set-component-index', index: readIndex(argument, scope), offset };
    case 'override-parameters': {
      const nested = scope.depth > 0;
      const parameters = readParameters(argument, { ...scope, nested, ordering: true });
      return { kind: 'override-parameters', parameters, offset };
    }
    case 'set-parameters':
      return { kind: 'set-parameters', parameters: readPlain(argument, scope), offset };
    case 'override-multiple': {
      const entries = readEntries(argument, scope, (each) => readPlain(each, scope));
      return { kind: 'override-multiple', entries, offset };
    }
    case 'copy-params': {
      const entries = readEntries(argument, scope, (each) => readNames(each, scope));
      return { kind: 'copy-params', entries, offset };
    }
    case 'try-each':
      return { kind: 'try-each', sequences: readAlternatives(argument, scope), offset };
    case 'run-sequence':
      return { kind: 'run-sequence', sequence: readNested(argument, scope), offset };
    case undefined:
    default:
      return refuse(number, code.start, scope);
  }
}

/** CDDL SUIT_Shared_Commands: the shared sequence decides, it does not act. */
function checkPlace(scope: Scope, name: string, code: Item): void {
  check(
    !scope.shared,
    'SUIT_COMMAND_MISPLACED',
    `${scope.what}: ${name} at byte ${code.start} may not stand in the shared sequence`,
    { offset: code.start },
  );
}

function readPolicy(item: Item, { what }: Scope): number {
  const policy = asUint(item, `${what}: reporting policy`);
  check(
    policy <= 15,
    'SUIT_POLICY_INVALID',
    `${what}: reporting policy ${policy} at byte ${item.start} has bits beyond the four of draft 8.4.7`,
    { offset: item.start },
  );
  return policy;
}

function readPlain(item: Item, scope: Scope): Parameters {
  return readParameters(item, { ...scope, nested: false, ordering: false });
}

/** {+ component index => value}. */
function readEntries<T>(
  item: Item,
  scope: Scope,
  read: (value: Item) => T,
): readonly (readonly [number, T])[] {
  const { entries } = asMap(item, `${scope.what}: components`);
  if (entries.length === 0)
    return fail('SUIT_TYPE', `${scope.what}: no components at byte ${item.start}`, {
      offset: item.start,
    });
  return entries.map(([key, value]) => [readOneIndex(key, scope), read(value)] as const);
}

/** [+ int]: parameter numbers, known ones. */
function readNames(item: Item, { what }: Scope): readonly ParameterName[] {
  const { items } = asArray(item, `${what}: parameters to copy`);
  if (items.length === 0)
    return fail('SUIT_TYPE', `${what}: no parameters to copy at byte ${item.start}`, {
      offset: item.start,
    });
  return items.map((each) => {
    const number = asInteger(each, `${what}: parameter number`);
    const name = nameOf(PARAMETER, number);
    const details = { parameter: number, offset: each.start };
    if (name === undefined)
      return fail(
        'SUIT_PARAMETER_UNKNOWN',
        `${what}: unknown parameter ${number} at byte ${each.start}`,
        details,
      );
    if (name === 'strictOrder' || name === 'softFailure')
      return fail(
        'SUIT_PARAMETER_MISPLACED',
        `${what}: parameter ${number} at byte ${each.start} belongs to no component`,
        details,
      );
    return name;
  });
}

function readOneIndex(item: Item, { what, componentCount }: Scope): number {
  const index = asUint(item, `${what}: component index`);
  check(
    index < componentCount,
    'SUIT_COMPONENT_INDEX_RANGE',
    `${what}: component index ${index} at byte ${item.start} is beyond the ${componentCount} components`,
    { offset: item.start },
  );
  return index;
}

function readIndex(item: Item, scope: Scope): ComponentIndex {
  const { what, componentCount } = scope;
  const one = (each: Item): number => readOneIndex(each, scope);
  if (item.kind === 'boolean' && item.value) return true;
  if (item.kind !== 'array') return one(item);
  if (item.items.length === 0 || item.items.length > componentCount)
    return fail(
      'SUIT_COMPONENT_INDEX_RANGE',
      `${what}: ${item.items.length} component indices at byte ${item.start} for ${componentCount} components`,
      { offset: item.start },
    );
  return item.items.map(one);
}

function readAlternatives(item: Item, scope: Scope): readonly (Sequence | null)[] {
  const { items } = asArray(item, `${scope.what}: try-each`);
  const sequences = items.map((each, i) =>
    each.kind === 'null' && i === items.length - 1 ? null : readNested(each, scope),
  );
  // CDDL [2* bstr, ?nil].
  if (sequences.filter((sequence) => sequence !== null).length < 2)
    return fail(
      'SUIT_TYPE',
      `${scope.what}: try-each at byte ${item.start} must have two sequences or more`,
      { offset: item.start },
    );
  return sequences;
}

function readNested(item: Item, scope: Scope): Sequence {
  check(
    scope.depth < MAX_NESTING,
    'SUIT_TOO_DEEP',
    `${scope.what}: sequences nest deeper than ${MAX_NESTING} at byte ${item.start}`,
    { offset: item.start },
  );
  return readCommands(asWrapped(item, scope.what), { ...scope, depth: scope.depth + 1 });
}

function refuse(number: number, offset: number, { what, shared }: Scope): never {
  const details = { command: number, offset };
  if (number < -256) {
    check(
      !shared,
      'SUIT_CUSTOM_IN_SHARED',
      `${what}: custom command ${number} at byte ${offset} (draft 6.2)`,
      details,
    );
    return fail(
      'SUIT_COMMAND_UNSUPPORTED',
      `${what}: custom command ${number} at byte ${offset} is not supported`,
      details,
    );
  }
  return fail(
    'SUIT_COMMAND_UNKNOWN',
    `${what}: unknown command ${number} at byte ${offset}`,
    details,
  );
}
