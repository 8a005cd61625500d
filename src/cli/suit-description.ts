/** A manifest described in JSON (docs/spec/suit-description.md), as input for src/suit/build.ts. */
import { hash } from '#crypto';
import { uuidBytes } from '../author/identifiers.ts';
import type { CommandInput, ManifestInput, MemberInput } from '../suit/build.ts';
import { encodeSequence, encodeText, sever } from '../suit/build.ts';
import type { ComponentIndex, ParameterName } from '../suit/commands.ts';
import type { DigestAlgorithm } from '../suit/digest.ts';
import {
  ACTION,
  COMPARISON,
  COMPONENT_TEXT,
  CONDITION,
  CONTROL,
  PARAMETER,
  SECTION,
  SEVERABLE,
  TEXT,
  WAIT_EVENT,
} from '../suit/label.ts';
import type { ConditionName, SectionName } from '../suit/label.ts';
import type { ComponentId } from '../suit/manifest.ts';
import type { Parameters } from '../suit/parameters.ts';
import type { LanguageText } from '../suit/text.ts';
import type { VersionMatch } from '../suit/version.ts';
import type { WaitEvent } from '../suit/wait-info.ts';
import {
  asByteString,
  asFlag,
  asList,
  asObject,
  asOneOf,
  asString,
  asWhole,
  asWide,
  member,
  wrongAt,
} from './description-read.ts';
import type { Place } from './description-read.ts';

export interface Described {
  readonly input: ManifestInput;
  /** Byte strings with their heads, by number. */
  readonly severed: ReadonlyMap<number, Uint8Array>;
  readonly integrated: ReadonlyMap<string, Uint8Array>;
  readonly digestAlgorithm: DigestAlgorithm;
}

type ReadFile = (name: string) => Uint8Array;

const RECORD_ALL = 15;
const RECORD_FAILURE = 2;
const DIGESTS: readonly DigestAlgorithm[] = ['SHA-256', 'SHA-384', 'SHA-512'];
const namesOf = <T extends string>(table: Readonly<Record<T, number>>): readonly T[] =>
  Object.keys(table) as T[];

/** `readFile`: files that the description names. Errors: SUIT_DESCRIPTION_INVALID, readFile's. */
export function describedManifest(value: unknown, readFile: ReadFile): Described {
  const root: Place = { value, path: '' };
  const members = asObject(root, [
    'sequence',
    'version',
    'referenceUri',
    'components',
    'dependencies',
    'ownComponentId',
    'shared',
    'sections',
    'text',
    'severed',
    'integrated',
    'digest',
  ]);
  const optional = <T>(key: string, read: (place: Place) => T): { [K in typeof key]?: T } => {
    const place = members.get(key);
    return place === undefined ? {} : { [key]: read(place) };
  };
  const chosen = members.get('digest');
  const digestAlgorithm = chosen === undefined ? 'SHA-256' : asOneOf(chosen, DIGESTS);
  const cut = new Set(
    (members.has('severed') ? asList(member(members, 'severed', root)) : []).map(severable),
  );
  const severed = new Map<number, Uint8Array>();
  const put = (name: string, content: Uint8Array): MemberInput => {
    const number = [...SEVERABLE].find(([, each]) => each === name)?.[0];
    if (number === undefined || !cut.delete(name)) return { content };
    const { bstr, digest } = sever(content, digestAlgorithm);
    severed.set(number, bstr);
    return { digest };
  };
  const sections = new Map<SectionName, MemberInput>();
  for (const [name, place] of asObject(member(members, 'sections', root), namesOf(SECTION)))
    sections.set(name as SectionName, put(name, encodeSequence(sequenceOf(place, readFile))));
  const text = members.get('text');
  const textMember = text === undefined ? {} : { text: put('text', encodeText(textOf(text))) };
  for (const name of cut)
    wrongAt({ value: cut, path: 'severed' }, `without ${name}, which is not there`);
  const integrated = members.get('integrated');
  const input: ManifestInput = {
    sequence: asWide(member(members, 'sequence', root)),
    componentIds: asList(member(members, 'components', root)).map(componentId),
    sections,
    ...textMember,
    ...optional('version', (place) => asList(place).map((each) => asWhole(each))),
    ...optional('referenceUri', asString),
    ...optional('ownComponentId', componentId),
    ...optional('shared', (place) => sequenceOf(place, readFile)),
    ...optional('dependencies', dependenciesOf),
  };
  return {
    input,
    severed,
    digestAlgorithm,
    integrated: new Map(
      integrated === undefined
        ? []
        : [...asObject(integrated)].map(([uri, place]) => [uri, readFile(asString(place))]),
    ),
  };
}

function severable(place: Place): string {
  return asOneOf(place, [...SEVERABLE.values()]);
}

function componentId(place: Place): ComponentId {
  return asList(place).map((part) => asByteString(part));
}

function dependenciesOf(place: Place): ReadonlyMap<number, ComponentId | null> {
  return new Map(
    [...asObject(place)].map(([key, prefix]) => [
      indexOf(key, prefix),
      prefix.value === null ? null : componentId(prefix),
    ]),
  );
}

/** A component index as a key. */
function indexOf(key: string, place: Place): number {
  return /^\d{1,2}$/.test(key) ? Number(key) : wrongAt(place, 'under a component index');
}

function sequenceOf(place: Place, readFile: ReadFile): readonly CommandInput[] {
  return asList(place).map((each) => commandOf(each, readFile));
}

const DIRECTIVES = [...namesOf(ACTION), ...namesOf(CONTROL)];

function commandOf(place: Place, readFile: ReadFile): CommandInput {
  const all = asObject(place);
  const only = (...keys: readonly string[]): ReadonlyMap<string, Place> =>
    // `inspect` prints an offset with each command.
    asObject(place, [...keys, 'offset']);
  const policy = (otherwise: number): number => {
    const given = all.get('policy');
    return given === undefined ? otherwise : asWhole(given, 0);
  };
  const condition = all.get('condition');
  if (condition !== undefined) {
    only('condition', 'policy');
    const name: ConditionName = asOneOf(condition, namesOf(CONDITION));
    return { kind: 'condition', name, policy: policy(RECORD_ALL) };
  }
  const directive = asOneOf(member(all, 'directive', place), DIRECTIVES);
  const argument = (key: string): Place => member(only('directive', key), key, place);
  const action = namesOf(ACTION).find((name) => name === directive);
  if (action !== undefined) {
    only('directive', 'policy');
    return { kind: 'action', name: action, policy: policy(RECORD_FAILURE) };
  }
  const control = asOneOf(member(all, 'directive', place), namesOf(CONTROL));
  switch (control) {
    case 'set-component-index':
      return { kind: control, index: componentIndex(argument('index')) };
    case 'override-parameters':
    case 'set-parameters':
      return { kind: control, parameters: parametersOf(argument('parameters'), readFile) };
    case 'override-multiple': {
      const entries = [...asObject(argument('components'))].map(
        ([key, set]) => [indexOf(key, set), parametersOf(set, readFile)] as const,
      );
      return { kind: control, entries };
    }
    case 'copy-params': {
      const names = namesOf(PARAMETER) as readonly ParameterName[];
      const entries = [...asObject(argument('components'))].map(
        ([key, list]) =>
          [indexOf(key, list), asList(list).map((each) => asOneOf(each, names))] as const,
      );
      return { kind: control, entries };
    }
    case 'try-each': {
      const sequences = asList(argument('sequences')).map((each) =>
        each.value === null ? null : sequenceOf(each, readFile),
      );
      return { kind: control, sequences };
    }
    case 'run-sequence':
    default:
      return { kind: control, sequence: sequenceOf(argument('sequence'), readFile) };
  }
}

function componentIndex(place: Place): ComponentIndex {
  if (place.value === true) return true;
  if (Array.isArray(place.value)) return asList(place).map((each) => asWhole(each, 0));
  return asWhole(place, 0);
}

type Reader<K extends keyof Parameters> = (
  place: Place,
  readFile: ReadFile,
) => NonNullable<Parameters[K]>;

const uuid = (place: Place): Uint8Array => {
  return uuidBytes(asString(place)) ?? wrongAt(place, 'a UUID');
};
const whole = (place: Place): number => asWhole(place, 0);
const bytes = (place: Place, readFile: ReadFile): Uint8Array => asByteString(place, readFile);

const READERS: { readonly [K in keyof Required<Parameters>]: Reader<K> } = {
  vendorId: uuid,
  classId: uuid,
  deviceId: uuid,
  imageDigest: (place) => {
    const members = asObject(place, ['algorithm', 'bytes']);
    const algorithm = asOneOf(member(members, 'algorithm', place), DIGESTS);
    return { algorithm, bytes: asByteString(member(members, 'bytes', place)) };
  },
  imageSize: whole,
  componentSlot: whole,
  content: bytes,
  uri: asString,
  sourceComponent: whole,
  invokeArguments: bytes,
  fetchArguments: bytes,
  strictOrder: asFlag,
  softFailure: asFlag,
  useBefore: asWide,
  encryptionInfo: bytes,
  minimumBattery: whole,
  updatePriority: (place) => asWhole(place),
  versionMatch: versionMatchOf,
  waitInfo: (place) =>
    asList(place)
      .map(waitEventOf)
      .toSorted((a, b) => WAIT_EVENT[a.kind] - WAIT_EVENT[b.kind]),
};

/** `image`: a file whose digest and size are meant. */
function parametersOf(place: Place, readFile: ReadFile): Parameters {
  const found: Record<string, unknown> = {};
  for (const [name, each] of asObject(place, ['image', ...Object.keys(READERS)])) {
    if (name === 'image') {
      const image = readFile(asString(each));
      found['imageDigest'] = { algorithm: 'SHA-256', bytes: hash('SHA-256', image) };
      found['imageSize'] = image.length;
    } else found[name] = READERS[name as keyof Parameters](each, readFile);
  }
  return found;
}

function versionMatchOf(place: Place): VersionMatch {
  const members = asObject(place, ['comparison', 'version']);
  return {
    comparison: asOneOf(member(members, 'comparison', place), namesOf(COMPARISON)),
    version: asList(member(members, 'version', place)).map((each) => asWhole(each)),
  };
}

function waitEventOf(place: Place): WaitEvent {
  const members = asObject(place);
  const kind = asOneOf(member(members, 'kind', place), namesOf(WAIT_EVENT));
  const argument = (key: string): Place => member(asObject(place, ['kind', key]), key, place);
  switch (kind) {
    case 'authorization':
      return { kind, priority: asWhole(argument('priority')) };
    case 'power':
    case 'network':
      return { kind, state: asWhole(argument('state')) };
    case 'other-device-version': {
      const both = asObject(place, ['kind', 'device', 'versions']);
      return {
        kind,
        device: asByteString(member(both, 'device', place)),
        versions: asList(member(both, 'versions', place)).map(versionMatchOf),
      };
    }
    case 'time':
    case 'time-of-day':
    case 'day-of-week':
    case 'time-of-day-utc':
    case 'day-of-week-utc':
    default:
      return { kind, value: asWhole(argument('value'), 0) };
  }
}

/** {"en": {"updateDescription": "...", "components": [{"component": ["00"], "version": "1.0"}]}} */
function textOf(place: Place): readonly LanguageText[] {
  return [...asObject(place)].map(([language, each]) => {
    const members = asObject(each, [...TEXT.values(), 'components']);
    const components = members.get('components');
    return {
      language,
      fields: texts(members, 'components'),
      components: (components === undefined ? [] : asList(components)).map((one) => {
        const inner = asObject(one, [...COMPONENT_TEXT.values(), 'component']);
        return {
          component: componentId(member(inner, 'component', one)),
          fields: texts(inner, 'component'),
        };
      }),
    };
  });
}

function texts(members: ReadonlyMap<string, Place>, but: string): ReadonlyMap<string, string> {
  return new Map(
    [...members].filter(([key]) => key !== but).map(([key, place]) => [key, asString(place)]),
  );
}
