/**
 * What a manifest says about images, found without running it: every way through its sequences
 * is followed with its parameters, as far as component slots tell the ways apart.
 */
import { equal } from '../bytes.ts';
import { check } from '../errors.ts';
import type { Command, ComponentIndex, ConditionCommand, Sequence } from './commands.ts';
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
}

const MAX_WAYS = 64;
const MAX_IMAGES = 64;
/** Commands followed in all ways together; setting parameters costs one more for each component. */
const MAX_STEPS = 50_000;
/** The order in which an update and then a start run them (draft 8.4.6). */
const ORDER: readonly SectionName[] = ['payload-fetch', 'install', 'validate', 'load', 'invoke'];

interface Way {
  readonly parameters: readonly Parameters[];
  /** The slot of a component, where a condition on this way has fixed it. */
  readonly slots: ReadonlyMap<number, number>;
  readonly current: ComponentIndex;
}

interface Walk {
  readonly componentCount: number;
  readonly images: Image[];
  steps: number;
}

/** Errors: SUIT_TOO_COMPLEX. */
export function imagesOf(
  componentCount: number,
  shared: Sequence | undefined,
  sections: ReadonlyMap<SectionName, Sequence>,
): readonly Image[] {
  const walk: Walk = { componentCount, images: [], steps: 0 };
  const start: Way = {
    parameters: Array.from({ length: componentCount }, () => ({})),
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
    case 'override-parameters': {
      const indices = new Set(indicesOf(way.current, walk.componentCount));
      walk.steps += walk.componentCount;
      const parameters = way.parameters.map((set, index) =>
        indices.has(index) ? { ...set, ...command.parameters } : set,
      );
      return [{ ...way, parameters }];
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
  if (name === 'image-match') note(walk, way, false);
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
    const { imageDigest, imageSize: size, uri } = way.parameters[componentIndex] ?? {};
    if (imageDigest === undefined) continue;
    const image: Image = {
      componentIndex,
      algorithm: imageDigest.algorithm,
      digest: imageDigest.bytes,
      size,
      uri: fetched ? uri : undefined,
    };
    if (!walk.images.some((other) => other.uri === image.uri && same(other, image)))
      walk.images.push(image);
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
