/** The manifests of one run: the root, and the dependencies that it has checked (trust-domains 5). */
import { equal } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { authenticateWith } from './authenticate.ts';
import type { AuthenticatedEnvelope, Trust } from './authenticate.ts';
import { componentName } from './component-port.ts';
import type { Component, ComponentPort } from './component-port.ts';
import { readEnvelope } from './conditions.ts';
import type { SuitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import type { SectionName } from './label.ts';
import type { Manifest } from './manifest.ts';
import type { Parameters } from './parameters.ts';

/** How deep dependencies may nest below the root. */
export const MAX_DEPENDENCY_DEPTH = 4;
/** Dependency-integrity checks in one run: each costs a signature. */
const MAX_DEPENDENCY_CHECKS = 64;

/** A manifest as the interpreter runs it. */
export interface RunningManifest {
  readonly verified: AuthenticatedEnvelope;
  readonly manifest: Manifest;
  /** The component indices that lead to it from the root; empty for the root. */
  readonly path: readonly number[];
  readonly components: readonly Component[];
  /** By component index; parameters and contents belong to a name, whichever manifest says it. */
  readonly names: readonly string[];
  /** Component indices of the dependencies whose current section has been run. */
  readonly processed: Set<number>;
}

export function runningManifest(
  verified: AuthenticatedEnvelope,
  path: readonly number[],
): RunningManifest {
  const { manifest } = verified;
  return {
    verified,
    manifest,
    path,
    components: manifest.componentIds.map((id, index) => ({ index, id })),
    names: manifest.componentIds.map(componentName),
    processed: new Set(),
  };
}

/** Dependencies that passed dependency-integrity and have not been written to since. */
export class CheckedDependencies {
  readonly #port: ComponentPort;
  readonly #trust: Trust;
  readonly #checked = new Map<string, RunningManifest>();
  /** Image digests that image-match has found: process-dependency checks the rest. */
  readonly #matched = new Map<string, SuitDigest>();
  #checks = 0;

  constructor(port: ComponentPort, trust: Trust) {
    this.#port = port;
    this.#trust = trust;
  }

  /**
   * Reads, authenticates and keeps a dependency (trust-domains 5.7.4). What is run later is what was
   * checked here, whatever the component holds by then. Errors: SUIT_NOT_DEPENDENCY,
   * SUIT_DIGEST_MISSING, SUIT_DEPENDENCY_MISMATCH, SUIT_DEPENDENCY_TOO_DEEP, SUIT_COMPONENT_UNSUPPORTED,
   * parseEnvelope's and authenticateWith's.
   */
  async check(of: RunningManifest, index: number, { imageDigest }: Parameters): Promise<void> {
    const component = of.components[index] ?? fail('SUIT_COMPONENT_INDEX_RANGE');
    check(of.manifest.dependencies.has(index), 'SUIT_NOT_DEPENDENCY');
    check(
      of.path.length < MAX_DEPENDENCY_DEPTH && ++this.#checks <= MAX_DEPENDENCY_CHECKS,
      'SUIT_DEPENDENCY_TOO_DEEP',
    );
    if (imageDigest === undefined)
      return fail('SUIT_DIGEST_MISSING', 'dependency-integrity without a digest');
    const bytes = await readEnvelope(component, this.#port);
    if (bytes === undefined)
      return fail('SUIT_DEPENDENCY_MISMATCH', 'the component of the dependency is empty');
    const envelope = parseEnvelope(bytes);
    check(
      envelope.digestAlgorithm === imageDigest.algorithm &&
        equal(envelope.digestBytes, imageDigest.bytes),
      'SUIT_DEPENDENCY_MISMATCH',
    );
    const verified = authenticateWith(envelope, this.#trust);
    const running = runningManifest(verified, [...of.path, index]);
    for (const each of running.components)
      check(
        await this.#port.has(each),
        'SUIT_COMPONENT_UNSUPPORTED',
        `the device has no component ${each.index} of the dependency`,
        { component: each.index },
      );
    this.#checked.set(keyOf(of, index), running);
  }

  get(of: RunningManifest, index: number): RunningManifest | undefined {
    return this.#checked.get(keyOf(of, index));
  }

  /** image-match held for this digest: as the published examples have it in place of dependency-integrity. */
  matched(of: RunningManifest, index: number, imageDigest: SuitDigest): void {
    if (of.manifest.dependencies.has(index)) this.#matched.set(keyOf(of, index), imageDigest);
  }

  /** Errors: SUIT_NOT_DEPENDENCY, SUIT_DEPENDENCY_UNCHECKED, and those of `check`. */
  async required(of: RunningManifest, index: number): Promise<RunningManifest> {
    check(of.manifest.dependencies.has(index), 'SUIT_NOT_DEPENDENCY');
    const imageDigest = this.#matched.get(keyOf(of, index));
    if (this.get(of, index) === undefined && imageDigest !== undefined)
      await this.check(of, index, { imageDigest });
    return this.get(of, index) ?? fail('SUIT_DEPENDENCY_UNCHECKED');
  }

  /** The component was written to: whatever was checked there is to be checked again. */
  forget(name: string): void {
    for (const known of [this.#checked, this.#matched])
      for (const key of known.keys()) if (key.endsWith(`|${name}`)) known.delete(key);
  }

  /**
   * trust-domains 5.1: at the end of a section the same section of each dependency has been run. The
   * invoke section is left out: it may have handed control over for good.
   */
  checkProcessed(of: RunningManifest, section: SectionName): void {
    if (section === 'invoke' || section === 'uninstall') return;
    for (const index of of.manifest.dependencies)
      check(
        of.processed.has(index) || this.get(of, index)?.manifest.sections.has(section) !== true,
        'SUIT_DEPENDENCY_UNPROCESSED',
        `the ${section} section of dependency ${index} was passed over`,
        { section, component: index },
      );
  }
}

function keyOf(of: RunningManifest, index: number): string {
  return `${of.path.join('/')}#${index}|${of.names[index]}`;
}
