/**
 * What a manifest says about images, found without running it: every way through its sequences
 * is followed with its parameters, as far as component slots tell the ways apart.
 */
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';
import type {
  Command,
  ComponentIndex,
  ConditionCommand,
  CopyParams,
  ParameterName,
  Sequence,
} from './commands.ts';
import type { SuitDigest } from './digest.ts';
import type { SectionName } from './label.ts';
import type { Parameters } from './parameters.ts';

export interface Image {
  readonly componentIndex: number;
  readonly algorithm: SuitDigest['algorithm'];
  readonly digest: Uint8Array;
  /** Bytes; undefined when the manifest does not say. */
  readonly size: number | undefined;
  /** Where it is fetched from; undefined when it is only matched. */
  readonly uri: string | undefined;
  /** The fetch decrypts: what lies at the URI is another text than the image. */
  readonly encrypted: boolean;
}

const MAX_WAYS = 64;
const MAX_IMAGES = 64;
/** Commands followed in all ways together; setting parameters costs one more for each component. */
const MAX_STEPS = 50_000;
/** The order in which an update and then a start run them (draft 8.4.6). */
const ORDER: readonly SectionName[] = [
  'dependency-resolution',
  'payload-fetch',
  'candidate-verification',
  'install',
  'validate',
  'load',
  'invoke',
  'uninstall',
];

interface Way {
  readonly parameters: readonly Parameters[];
  /** The slot of a component, where a condition on this way has fixed it. */
  readonly slots: ReadonlyMap<number, number>;
  readonly current: ComponentIndex;
}

interface Space {
  readonly componentCount: number;
  /** Component indices of dependencies. */
  readonly dependencies: ReadonlySet<number>;
}

interface Walk extends Space {
  readonly images: Image[];
  steps: number;
}

/** Errors: SUIT_TOO_COMPLEX. */
export function imagesOf(
  space: Space,
  shared: Sequence | undefined,
  sections: ReadonlyMap<SectionName, Sequence>,
): readonly Image[] {
  const walk: Walk = { ...space, images: [], steps: 0 };
  const start: Way = {
    parameters: Array.from({ length: space.componentCount }, () => ({})),
    slots: new Map(),
    current: 0,
  };
  let ways: readonly Way[] = [start];
  if (shared !== undefined) ways = follow(walk, ways, shared);
  for (const name of ORDER) {
    const sequence = sections.get(name);
    if (sequence === undefined) continue;
    // As process.ts has it: each section starts from what the shared sequence has set.
    follow(
      walk,
      ways.map((way) => ({ ...way, current: 0 })),
      sequence,
    );
  }
  const { images } = walk;
  // A match without a source says nothing that a fetch of the same image does not.
  return images.filter(
    (image) =>
      image.uri !== undefined ||
      !images.some((other) => other.uri !== undefined && same(other, image)),
  );
}

function follow(walk: Walk, ways: readonly Way[], sequence: Sequence): readonly Way[] {
  let now = ways;
  for (const command of sequence) {
    now = now.flatMap((way) => step(walk, way, command));
    walk.steps += now.length;
    bound(walk, now);
  }
  return now;
}

function bound(walk: Walk, ways: readonly Way[]): void {
  check(
    ways.length <= MAX_WAYS && walk.steps <= MAX_STEPS,
    'SUIT_TOO_COMPLEX',
    `more than ${MAX_WAYS} ways through the manifest's alternatives`,
  );
}

function step(walk: Walk, way: Way, command: Command): readonly Way[] {
  switch (command.kind) {
    case 'set-component-index':
      return [{ ...way, current: command.index }];
    case 'override-parameters':
      return [change(walk, way, (set) => ({ ...set, ...command.parameters }))];
    case 'set-parameters':
      return [change(walk, way, (set) => ({ ...command.parameters, ...set }))];
    case 'override-multiple': {
      const given = new Map(command.entries);
      walk.steps += walk.componentCount;
      const parameters = way.parameters.map((set, index) => ({ ...set, ...given.get(index) }));
      return [{ ...way, parameters, current: command.entries.at(-1)?.[0] ?? way.current }];
    }
    case 'copy-params': {
      const copied = copiedParameters(command.entries, (index) => way.parameters[index]);
      return [change(walk, way, (set) => ({ ...set, ...copied }))];
    }
    case 'condition':
      return meet(walk, way, command);
    case 'action':
      if (command.name === 'fetch') note(walk, way, true);
      return [way];
    case 'run-sequence':
      return perComponent(walk, way, (inner) => follow(walk, [inner], command.sequence));
    case 'try-each':
    default:
      return perComponent(walk, way, (inner) =>
        command.sequences.flatMap((sequence) =>
          sequence === null ? [inner] : follow(walk, [inner], sequence),
        ),
      );
  }
}

function change(walk: Walk, way: Way, edit: (set: Parameters) => Parameters): Way {
  const indices = new Set(indicesOf(way.current, walk.componentCount));
  walk.steps += walk.componentCount;
  const parameters = way.parameters.map((set, index) => (indices.has(index) ? edit(set) : set));
  return { ...way, parameters };
}

/** The parameters that copy-params takes over: those that are set where it copies from. */
export function copiedParameters(
  entries: CopyParams['entries'],
  at: (index: number) => Parameters | undefined,
): Parameters {
  const copied: Record<string, Parameters[ParameterName]> = {};
  for (const [index, names] of entries)
    for (const name of names) {
      const value = at(index)?.[name];
      if (value !== undefined) copied[name] = value;
    }
  return copied;
}

/** Draft 6.5: nested sequences run once for each selected component, with that one as the index. */
function perComponent(walk: Walk, way: Way, run: (inner: Way) => readonly Way[]): readonly Way[] {
  let ways: readonly Way[] = [way];
  for (const index of indicesOf(way.current, walk.componentCount)) {
    ways = ways.flatMap((each) => run({ ...each, current: index }));
    bound(walk, ways);
  }
  return ways.map((each) => ({ ...each, current: way.current }));
}

function meet(walk: Walk, way: Way, { name }: ConditionCommand): readonly Way[] {
  if (name === 'abort') return [];
  if (name === 'image-match' || name === 'dependency-integrity') note(walk, way, false);
  if (name === 'is-dependency') {
    const selected = indicesOf(way.current, walk.componentCount);
    return selected.every((index) => walk.dependencies.has(index)) ? [way] : [];
  }
  if (name !== 'component-slot') return [way];
  const slots = new Map(way.slots);
  for (const index of indicesOf(way.current, walk.componentCount)) {
    const wanted = way.parameters[index]?.componentSlot;
    const fixed = slots.get(index);
    if (wanted === undefined || (fixed !== undefined && fixed !== wanted)) return [];
    slots.set(index, wanted);
  }
  return [{ ...way, slots }];
}

function note(walk: Walk, way: Way, fetched: boolean): void {
  for (const componentIndex of indicesOf(way.current, walk.componentCount)) {
    const set = way.parameters[componentIndex] ?? {};
    const { imageDigest, imageSize: size, uri } = set;
    if (imageDigest === undefined) continue;
    const image: Image = {
      componentIndex,
      algorithm: imageDigest.algorithm,
      digest: imageDigest.bytes,
      size,
      uri: fetched ? uri : undefined,
      encrypted: fetched && set.encryptionInfo !== undefined,
    };
    const known = (other: Image) =>
      other.uri === image.uri && other.encrypted === image.encrypted && same(other, image);
    if (!walk.images.some(known)) walk.images.push(image);
  }
  check(walk.images.length <= MAX_IMAGES, 'SUIT_TOO_COMPLEX', `more than ${MAX_IMAGES} images`);
}

function same(a: Image, b: Image): boolean {
  return (
    a.componentIndex === b.componentIndex &&
    a.algorithm === b.algorithm &&
    a.size === b.size &&
    equal(a.digest, b.digest)
  );
}

/** The components that an index selects. */
export function indicesOf(index: ComponentIndex, componentCount: number): readonly number[] {
  if (index === true) return Array.from({ length: componentCount }, (_, i) => i);
  return typeof index === 'number' ? [index] : index;
}
