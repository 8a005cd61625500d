/** The numbers of draft-ietf-suit-manifest-37 and of its extensions, by name. Pure data. */

export const TAG_ENVELOPE = 107;
export const TAG_MANIFEST = 1070;

export const MANIFEST_VERSION = 1;

/** Keys of the envelope map. */
export const ENVELOPE = { authentication: 2, manifest: 3 } as const;

/** Keys of the manifest map that are no command sequence. */
export const MANIFEST = {
  version: 1,
  sequenceNumber: 2,
  common: 3,
  referenceUri: 4,
  componentId: 5,
  setVersion: 6,
  text: 23,
} as const;

/** Keys of the manifest map that hold a command sequence. */
export const SECTION = {
  validate: 7,
  load: 8,
  invoke: 9,
  'dependency-resolution': 15,
  'payload-fetch': 16,
  'candidate-verification': 18,
  install: 20,
  uninstall: 24,
} as const;

export type SectionName = keyof typeof SECTION;

/** The sections that may be severed: a digest in the manifest, the bytes in the envelope. */
export const SEVERABLE: ReadonlyMap<number, SectionName | 'text'> = new Map([
  [SECTION['dependency-resolution'], 'dependency-resolution'],
  [SECTION['payload-fetch'], 'payload-fetch'],
  [SECTION['candidate-verification'], 'candidate-verification'],
  [SECTION.install, 'install'],
  [MANIFEST.text, 'text'],
]);

/** Keys of the common map. */
export const COMMON = { dependencies: 1, components: 2, sharedSequence: 4 } as const;

/** Keys of a dependency's metadata. */
export const DEPENDENCY = { prefix: 1 } as const;

export const CONDITION = {
  'vendor-identifier': 1,
  'class-identifier': 2,
  'image-match': 3,
  'use-before': 4,
  'component-slot': 5,
  'check-content': 6,
  'dependency-integrity': 7,
  'is-dependency': 8,
  abort: 14,
  'device-identifier': 24,
  'image-not-match': 25,
  'minimum-battery': 26,
  'update-authorized': 27,
  version: 28,
} as const;

export type ConditionName = keyof typeof CONDITION;

/** Directives whose argument is a reporting policy. */
export const ACTION = {
  'process-dependency': 11,
  write: 18,
  fetch: 21,
  copy: 22,
  invoke: 23,
  wait: 29,
  swap: 31,
  unlink: 33,
} as const;

export type ActionName = keyof typeof ACTION;

/** Directives with an argument of their own. */
export const CONTROL = {
  'set-component-index': 12,
  'try-each': 15,
  'set-parameters': 19,
  'override-parameters': 20,
  'run-sequence': 32,
  'override-multiple': 34,
  'copy-params': 35,
} as const;

export const PARAMETER = {
  vendorId: 1,
  classId: 2,
  imageDigest: 3,
  useBefore: 4,
  componentSlot: 5,
  strictOrder: 12,
  softFailure: 13,
  imageSize: 14,
  content: 18,
  encryptionInfo: 19,
  uri: 21,
  sourceComponent: 22,
  invokeArguments: 23,
  deviceId: 24,
  fetchArguments: 25,
  minimumBattery: 26,
  updatePriority: 27,
  versionMatch: 28,
  waitInfo: 29,
} as const;

/** How a version parameter compares (update-management). */
export const COMPARISON = {
  greater: 1,
  'greater-equal': 2,
  equal: 3,
  'lesser-equal': 4,
  lesser: 5,
} as const;

export const WAIT_EVENT = {
  authorization: 1,
  power: 2,
  network: 3,
  'other-device-version': 4,
  time: 5,
  'time-of-day': 6,
  'day-of-week': 7,
  'time-of-day-utc': 8,
  'day-of-week-utc': 9,
} as const;

/** Bits of a reporting policy (draft 8.4.7). */
export const POLICY = {
  recordOnSuccess: 1,
  recordOnFailure: 2,
  systemOnSuccess: 4,
  systemOnFailure: 8,
} as const;

/** Text members that describe the manifest, and those that describe one component. */
export const TEXT: ReadonlyMap<number, string> = new Map([
  [1, 'manifestDescription'],
  [2, 'updateDescription'],
  [3, 'manifestJsonSource'],
  [4, 'manifestYamlSource'],
]);

export const COMPONENT_TEXT: ReadonlyMap<number, string> = new Map([
  [1, 'vendorName'],
  [2, 'modelName'],
  [3, 'vendorDomain'],
  [4, 'modelInfo'],
  [5, 'description'],
  [6, 'version'],
  [7, 'versionRequired'],
  [8, 'currentVersion'],
]);

/** What the extensions define and this processor refuses by name. */
export const FOREIGN = {
  envelope: new Map([
    [1, 'delegation (removed from the draft)'],
    [14, 'coswid (update-management)'],
  ]),
  manifest: new Map([[14, 'coswid (update-management)']]),
  parameter: new Map([[30, 'component-metadata (update-management)']]),
} as const satisfies Record<string, ReadonlyMap<number, string>>;

/** The name that a table of numbers gives to a number, if it gives one. */
export function nameOf<T extends Readonly<Record<string, number>>>(
  table: T,
  number: number,
): keyof T | undefined {
  return Object.keys(table).find((name) => table[name] === number);
}
