/** The manifest (draft 8.4), parsed strictly: every key, command and parameter is known. */
import { compare } from '../bytes.ts';
import { encode } from '../cbor/encode.ts';
import { check, fail } from '../errors.ts';
import { readSequence } from './commands.ts';
import type { Sequence } from './commands.ts';
import { digestMatches, readDigest } from './digest.ts';
import type { SuitDigest } from './digest.ts';
import { refuseOldDraft } from './draft.ts';
import { MAX_MANIFEST_BYTES } from './envelope.ts';
import type { Slice } from './envelope.ts';
import { imagesOf } from './images.ts';
import type { Image } from './images.ts';
import {
  asArray,
  asBytes,
  asMap,
  asText,
  asUint,
  asUint64,
  asWrapped,
  fields,
  required,
} from './item-read.ts';
import { parseItem } from './item.ts';
import type { Item } from './item.ts';
import {
  COMMON,
  DEPENDENCY,
  FOREIGN,
  MANIFEST,
  MANIFEST_VERSION,
  SECTION,
  SEVERABLE,
} from './label.ts';
import type { SectionName } from './label.ts';
import { MAX_URI_BYTES } from './parameters.ts';
import { readText } from './text.ts';
import type { LanguageText } from './text.ts';
import { readVersion } from './version.ts';

/** A part of the manifest that may have been severed. `absent`: only its digest is at hand. */
export type Member<T> =
  | { readonly state: 'inline' | 'severed'; readonly value: T }
  | { readonly state: 'absent'; readonly digest: SuitDigest };

export interface Manifest {
  /** The manifest map's bytes, without the byte string head. */
  readonly bytes: Uint8Array;
  /** Up to 64 bits. */
  readonly sequence: bigint;
  readonly referenceUri: string | undefined;
  /** suit-set-version (update-management): the version that the manifest brings. */
  readonly version: readonly number[] | undefined;
  /** By component index: the components, then the dependencies that stand for themselves. */
  readonly componentIds: readonly ComponentId[];
  /** The component indices that hold the envelopes of other manifests (trust-domains). */
  readonly dependencies: ReadonlySet<number>;
  /** manifest-component-id (trust-domains): where the manifest asks to be kept. */
  readonly ownComponentId: ComponentId | undefined;
  readonly sharedSequence: Sequence | undefined;
  readonly sections: ReadonlyMap<SectionName, Member<Sequence>>;
  readonly text: Member<readonly LanguageText[]> | undefined;
  /** Every image that the sections at hand fetch or match (see images.ts). */
  readonly images: readonly Image[];
  /** The same of dependencies: the digest is of the other manifest, as its envelope has it. */
  readonly dependencyImages: readonly Image[];
}

export type ComponentId = readonly Uint8Array[];

export const MAX_COMPONENTS = 32;
const MAX_COMPONENT_PARTS = 8;
const MAX_COMPONENT_PART_BYTES = 64;

/**
 * A manifest from its bytes, **with** the byte string head (`envelope.manifestBytes`, or a
 * release's attachment). `severed`: the members that were severed from it, by number; each must
 * have its digest in the manifest. `offset`: where the bytes stand in their envelope.
 * Errors: SUIT_* of item.ts, commands.ts and parameters.ts; SUIT_VERSION_UNSUPPORTED,
 * SUIT_DRAFT_OLD, SUIT_KEY_UNKNOWN, SUIT_MEMBER_*, SUIT_SEVERED_*, SUIT_COMPONENT_INVALID.
 */
export function parseManifest(
  manifestBytes: Uint8Array,
  options: { readonly severed?: ReadonlyMap<number, Slice>; readonly offset?: number } = {},
): Manifest {
  const severed = options.severed ?? new Map<number, Slice>();
  check(
    manifestBytes.length <= MAX_MANIFEST_BYTES,
    'SUIT_TOO_LARGE',
    `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`,
  );
  // A copy: what is checked here stays so, whatever the caller does to its bytes.
  const own = new Uint8Array(manifestBytes);
  const bstr = asBytes(parseItem(own, 'manifest', options.offset ?? 0), 'manifest');
  const map = asMap(parseItem(bstr.value, 'manifest', bstr.contentStart), 'manifest');
  const members = readMembers(map);
  const common = readCommon(required(members, MANIFEST.common, 'manifest: common'));
  const componentCount = common.componentIds.length;

  for (const key of severed.keys())
    check(
      members.has(key),
      'SUIT_SEVERED_UNDECLARED',
      `envelope: severed ${SEVERABLE.get(key) ?? key}, which the manifest has no digest of`,
      { key },
    );
  const sections = new Map<SectionName, Member<Sequence>>();
  for (const [name, key] of Object.entries(SECTION) as [SectionName, number][]) {
    const member = members.get(key);
    if (member === undefined) continue;
    sections.set(
      name,
      readMember(member, name, key, severed, (item) =>
        readSequence(item, { what: name, shared: false, componentCount }),
      ),
    );
  }
  const present = new Map<SectionName, Sequence>();
  for (const [name, member] of sections)
    if (member.state !== 'absent') present.set(name, member.value);
  const text = members.get(MANIFEST.text);
  const reference = members.get(MANIFEST.referenceUri);
  const version = members.get(MANIFEST.setVersion);
  const ownId = members.get(MANIFEST.componentId);
  const { componentIds, dependencies, sharedSequence } = common;
  const images = imagesOf({ componentCount, dependencies }, sharedSequence, present);
  return {
    bytes: bstr.value,
    sequence: asUint64(
      required(members, MANIFEST.sequenceNumber, 'manifest: sequence number'),
      'manifest: sequence number',
    ),
    referenceUri:
      reference === undefined
        ? undefined
        : asText(reference, 'manifest: reference URI', MAX_URI_BYTES),
    version:
      version === undefined
        ? undefined
        : readVersion(asWrapped(version, 'set-version'), 'set-version'),
    componentIds,
    dependencies,
    ownComponentId:
      ownId === undefined ? undefined : readComponentId(ownId, 'manifest: manifest-component-id'),
    sharedSequence,
    sections,
    text:
      text === undefined ? undefined : readMember(text, 'text', MANIFEST.text, severed, readText),
    images: images.filter(({ componentIndex }) => !dependencies.has(componentIndex)),
    dependencyImages: images.filter(({ componentIndex }) => dependencies.has(componentIndex)),
  };
}

function readMembers(item: Item): ReadonlyMap<number, Item> {
  const map = asMap(item, 'manifest');
  // The version says which numbering the other keys have, so it is looked at first.
  const version = map.entries.find(([key]) => key.kind === 'integer' && key.value === 1n)?.[1];
  if (version === undefined)
    return fail('SUIT_MEMBER_MISSING', 'manifest: version (key 1) is missing', { key: 1 });
  const number = asUint(version, 'manifest: version');
  check(
    number === MANIFEST_VERSION,
    'SUIT_VERSION_UNSUPPORTED',
    `manifest: version ${number} at byte ${version.start}; only version 1 is read`,
    { offset: version.start },
  );
  refuseOldDraft(map, 'manifest');
  const known = new Set<number>([...Object.values(MANIFEST), ...Object.values(SECTION)]);
  return fields(map, 'manifest', known, FOREIGN.manifest);
}

interface Common {
  readonly componentIds: readonly ComponentId[];
  readonly dependencies: ReadonlySet<number>;
  readonly sharedSequence: Sequence | undefined;
}

function readCommon(item: Item): Common {
  const map = asMap(asWrapped(item, 'common'), 'common');
  const members = fields(map, 'common', new Set(Object.values(COMMON)), new Map());
  const listed = required(members, COMMON.components, 'common: components');
  const componentIds = [...readComponents(listed)];
  const given = members.get(COMMON.dependencies);
  const dependencies =
    given === undefined ? new Set<number>() : readDependencies(given, componentIds);
  checkComponents(componentIds, listed.start);
  const shared = members.get(COMMON.sharedSequence);
  if (shared === undefined) return { componentIds, dependencies, sharedSequence: undefined };
  const what = 'shared sequence';
  const sequence = readSequence(asWrapped(shared, what), {
    what,
    shared: true,
    componentCount: componentIds.length,
  });
  return { componentIds, dependencies, sharedSequence: sequence };
}

function readComponents(item: Item): readonly ComponentId[] {
  const { items } = asArray(item, 'components');
  return items.map((each) => readComponentId(each, 'component identifier'));
}

function checkComponents(componentIds: readonly ComponentId[], offset: number): void {
  check(
    componentIds.length > 0 && componentIds.length <= MAX_COMPONENTS,
    'SUIT_COMPONENT_INVALID',
    `components: ${componentIds.length} of them; 1 to ${MAX_COMPONENTS} are accepted`,
    { offset },
  );
  const raws = componentIds.map((id) => encode(id)).toSorted(compare);
  check(
    raws.every((raw, i) => i === 0 || compare(raws[i - 1] as Uint8Array, raw) !== 0),
    'SUIT_COMPONENT_INVALID',
    'components: the same identifier twice',
    { offset },
  );
}

function readComponentId(item: Item, what: string): ComponentId {
  const parts = asArray(item, what).items;
  check(
    parts.length > 0 && parts.length <= MAX_COMPONENT_PARTS,
    'SUIT_COMPONENT_INVALID',
    `${what} at byte ${item.start}: 1 to ${MAX_COMPONENT_PARTS} parts`,
    { offset: item.start },
  );
  return parts.map((part) => asBytes(part, what, { max: MAX_COMPONENT_PART_BYTES }).value);
}

/**
 * trust-domains 5.2.2 has dependencies among the components; its examples also number them on beyond
 * the list, with the prefix as their identifier. Those are put at the end of `componentIds`.
 */
function readDependencies(item: Item, componentIds: ComponentId[]): ReadonlySet<number> {
  const listed = componentIds.length;
  const found = new Set<number>();
  const { entries } = asMap(item, 'dependencies');
  if (entries.length === 0)
    return fail('SUIT_TYPE', 'dependencies: an empty map', { offset: item.start });
  for (const [key, value] of entries) {
    const index = asUint(key, 'dependencies: component index');
    const what = `dependency ${index}`;
    const metadata = fields(
      asMap(value, what),
      what,
      new Set(Object.values(DEPENDENCY)),
      new Map(),
    );
    const prefix = metadata.get(DEPENDENCY.prefix);
    check(
      index >= listed || prefix === undefined,
      'SUIT_MEMBER_UNSUPPORTED',
      `${what} at byte ${key.start}: a prefix of component identifiers is not supported`,
      { offset: key.start },
    );
    check(
      index < listed || (index === componentIds.length && prefix !== undefined),
      'SUIT_COMPONENT_INDEX_RANGE',
      `${what} at byte ${key.start} is neither in the list of components nor the next after it`,
      { offset: key.start },
    );
    if (prefix !== undefined) componentIds.push(readComponentId(prefix, `${what}: prefix`));
    found.add(index);
  }
  return found;
}

/** Draft 8.4.12 and 8.6: a severable member is its bytes, or the digest of the bytes in the envelope. */
function readMember<T>(
  item: Item,
  name: string,
  key: number,
  severed: ReadonlyMap<number, Slice>,
  read: (item: Item) => T,
): Member<T> {
  const given = severed.get(key);
  if (item.kind !== 'array' || !SEVERABLE.has(key)) {
    check(
      given === undefined,
      'SUIT_SEVERED_DUPLICATE',
      `${name} stands in the manifest at byte ${item.start} and severed in the envelope`,
      { key, offset: item.start },
    );
    return { state: 'inline', value: read(asWrapped(item, name)) };
  }
  const digest = readDigest(item, `${name}: digest of the severed member`);
  if (given === undefined) return { state: 'absent', digest };
  check(
    digestMatches(digest, given.raw),
    'SUIT_SEVERED_DIGEST_MISMATCH',
    `${name}: the severed member at byte ${given.contentOffset} is not the one that the manifest names`,
    { key, offset: given.contentOffset },
  );
  return { state: 'severed', value: read(parseItem(given.content, name, given.contentOffset)) };
}

/** A section's commands; undefined without it. Errors: SUIT_SEVERED_ABSENT. */
export function sectionOf(manifest: Manifest, name: SectionName): Sequence | undefined {
  const member = manifest.sections.get(name);
  if (member === undefined) return undefined;
  check(
    member.state !== 'absent',
    'SUIT_SEVERED_ABSENT',
    `the ${name} section was severed from the envelope and is not at hand`,
    { section: name },
  );
  return member.value;
}
