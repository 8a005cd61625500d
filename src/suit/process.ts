/** The manifest processor (draft 6): runs sections of a verified manifest over a port. */
import { check } from '../errors.ts';
import type { DecryptionKey } from '../cose/recipient.ts';
import type { AuthenticatedEnvelope, Trust } from './authenticate.ts';
import type { ComponentPort } from './component-port.ts';
import { Interpreter } from './interpreter.ts';
import type { SectionName } from './label.ts';
import { sectionOf } from './manifest.ts';
import type { Manifest } from './manifest.ts';
import type { ReportEntry } from './record.ts';

export interface Limits {
  /** Commands run in all, each counted once for every component that it is run for. */
  readonly steps: number;
  /** Bytes of one component. */
  readonly imageBytes: number;
  /** Records kept; later ones are dropped. */
  readonly records: number;
}

export const DEFAULT_LIMITS: Limits = { steps: 2048, imageBytes: 2 ** 32, records: 128 };

export interface ProcessOptions {
  /** In the order in which they are to run; one that the manifest does not have is passed over. */
  readonly sections: readonly SectionName[];
  readonly port: ComponentPort;
  readonly limits?: Partial<Limits>;
  /** The sequence number of the manifest that the device has; a lower one is refused. */
  readonly storedSequence?: bigint;
  /** Whom to believe about dependencies; nobody unless told. */
  readonly trust?: Trust;
  /** The keys that encrypted payloads may be for. */
  readonly decryptionKeys?: readonly DecryptionKey[];
  /** Told every record as it is made: the way to have those of a run that fails. */
  readonly onRecord?: (entry: ReportEntry) => void;
}

export interface ProcessResult {
  /** The sections that ran to their end. */
  readonly ran: readonly SectionName[];
  readonly records: readonly ReportEntry[];
}

/**
 * Runs the sections, the shared sequence before each of them, each from empty parameters: a section
 * does the same whether another ran just before it or before a restart. All sections given are one
 * procedure: a dependency that one of them checked stays checked. The first failure ends it. Errors:
 * SUIT_SEQUENCE_ROLLBACK, SUIT_COMPONENT_UNSUPPORTED, SUIT_SEVERED_ABSENT, SUIT_STEPS_EXHAUSTED,
 * SUIT_DEPENDENCY_*, SUIT_ENCRYPTION_UNPROVEN; a condition's or action's own code, with `section`, `offset` and `component` in its details; what the port threw,
 * so located, or SUIT_OPERATION_FAILED when that was no FirmamentError.
 */
export async function processManifest(
  verified: AuthenticatedEnvelope,
  options: ProcessOptions,
): Promise<ProcessResult> {
  const { manifest } = verified;
  checkSequence(manifest, options.storedSequence ?? 0n);
  // A section that was severed and is not at hand is found out before anything runs.
  const plan = options.sections.filter((name) => sectionOf(manifest, name) !== undefined);
  const components = manifest.componentIds.map((id, index) => ({ index, id }));
  for (const component of components)
    check(
      await options.port.has(component),
      'SUIT_COMPONENT_UNSUPPORTED',
      `the device has no component ${component.index} of this manifest`,
      { component: component.index },
    );
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const records: ReportEntry[] = [];
  const interpreter = new Interpreter(verified, {
    port: options.port,
    trust: options.trust ?? { keys: [] },
    decryptionKeys: options.decryptionKeys ?? [],
    maxImageBytes: limits.imageBytes,
    maxSteps: limits.steps,
    note(entry) {
      if (records.length >= limits.records) return;
      records.push(entry);
      options.onRecord?.(entry);
    },
  });
  const ran: SectionName[] = [];
  for (const name of plan) {
    await interpreter.run(name);
    ran.push(name);
  }
  return { ran, records };
}

/** Draft 6.1: a manifest older than the one at hand is refused. Errors: SUIT_SEQUENCE_ROLLBACK. */
export function checkSequence(manifest: Manifest, stored: bigint): void {
  check(
    manifest.sequence >= stored,
    'SUIT_SEQUENCE_ROLLBACK',
    `sequence number ${manifest.sequence} is lower than the stored ${stored}`,
    { sequence: manifest.sequence, stored },
  );
}
