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
  setVersion: 6,
  text: 23,
} as const;

/** Keys of the manifest map that hold a command sequence. */
export const SECTION = {
  validate: 7,
  load: 8,
  invoke: 9,
  'payload-fetch': 16,
  install: 20,
} as const;

export type SectionName = keyof typeof SECTION;

/** The sections that may be severed: a digest in the manifest, the bytes in the envelope. */
export const SEVERABLE: ReadonlyMap<number, SectionName | 'text'> = new Map([
  [SECTION['payload-fetch'], 'payload-fetch'],
  [SECTION.install, 'install'],
  [MANIFEST.text, 'text'],
]);

/** Keys of the common map. */
export const COMMON = { components: 2, sharedSequence: 4 } as const;

export const CONDITION = {
  'vendor-identifier': 1,
  'class-identifier': 2,
  'image-match': 3,
  'component-slot': 5,
  'check-content': 6,
  abort: 14,
  'device-identifier': 24,
} as const;

export type ConditionName = keyof typeof CONDITION;

/** Directives whose argument is a reporting policy. */
export const ACTION = { write: 18, fetch: 21, copy: 22, invoke: 23, swap: 31 } as const;

export type ActionName = keyof typeof ACTION;

/** Directives with an argument of their own. */
export const CONTROL = {
  'set-component-index': 12,
  'try-each': 15,
  'override-parameters': 20,
  'run-sequence': 32,
} as const;

export const PARAMETER = {
  vendorId: 1,
  classId: 2,
  imageDigest: 3,
  componentSlot: 5,
  strictOrder: 12,
  softFailure: 13,
  imageSize: 14,
  content: 18,
  uri: 21,
  sourceComponent: 22,
  invokeArguments: 23,
  deviceId: 24,
  fetchArguments: 25,
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
]);

/** What the extensions define and this processor refuses by name. */
export const FOREIGN = {
  envelope: new Map([
    [1, 'delegation (removed from the draft)'],
    [14, 'coswid (update-management)'],
    [15, 'dependency-resolution (trust-domains)'],
    [18, 'candidate-verification (trust-domains)'],
  ]),
  manifest: new Map([
    [5, 'manifest-component-id (trust-domains)'],
    [14, 'coswid (update-management)'],
    [15, 'dependency-resolution (trust-domains)'],
    [18, 'candidate-verification (trust-domains)'],
    [24, 'uninstall (trust-domains)'],
  ]),
  common: new Map([[1, 'dependencies (trust-domains)']]),
  command: new Map([
    [4, 'use-before (update-management)'],
    [7, 'dependency-integrity (trust-domains)'],
    [8, 'is-dependency (trust-domains)'],
    [11, 'process-dependency (trust-domains)'],
    [19, 'set-parameters (trust-domains)'],
    [25, 'image-not-match (update-management)'],
    [26, 'minimum-battery (update-management)'],
    [27, 'update-authorized (update-management)'],
    [28, 'version (update-management)'],
    [29, 'wait (update-management)'],
    [33, 'unlink (trust-domains)'],
    [34, 'override-multiple (update-management)'],
    [35, 'copy-params (update-management)'],
  ]),
  parameter: new Map([
    [4, 'use-before (update-management)'],
    [19, 'encryption-info (firmware-encryption)'],
    [26, 'minimum-battery (update-management)'],
    [27, 'update-priority (update-management)'],
    [28, 'version (update-management)'],
    [29, 'wait-info (update-management)'],
    [30, 'component-metadata (update-management)'],
  ]),
  text: new Map<number, string>(),
  componentText: new Map([
    [7, 'version-required (update-management)'],
    [8, 'current-version (update-management)'],
  ]),
} as const satisfies Record<string, ReadonlyMap<number, string>>;

/** The name that a table of numbers gives to a number, if it gives one. */
export function nameOf<T extends Readonly<Record<string, number>>>(
  table: T,
  number: number,
): keyof T | undefined {
  return Object.keys(table).find((name) => table[name] === number);
}
