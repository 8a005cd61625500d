/** Short manifests for tests of the processor: signed, with the commands given. */
import { privateKey } from '#crypto';
import { createSign1 } from '../cose/sign1.ts';
import { authenticate } from './authenticate.ts';
import type { VerifiedEnvelope } from './authenticate.ts';
import { buildEnvelope, buildManifest, encodeSequence, wrap } from './build.ts';
import type { CommandInput, ManifestInput } from './build.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import type { SectionName } from './label.ts';
import type { Parameters } from './parameters.ts';

export const KEY = privateKey('Ed25519', new Uint8Array(32).fill(7));

export const set = (parameters: Parameters): CommandInput => ({
  kind: 'override-parameters',
  parameters,
});
export const at = (index: number | true | readonly number[]): CommandInput => ({
  kind: 'set-component-index',
  index,
});
export const when = (
  name: Extract<CommandInput, { kind: 'condition' }>['name'],
  policy = 0,
): CommandInput => ({ kind: 'condition', name, policy });
export const act = (
  name: Extract<CommandInput, { kind: 'action' }>['name'],
  policy = 0,
): CommandInput => ({ kind: 'action', name, policy });
export const tryEach = (...sequences: (readonly CommandInput[] | null)[]): CommandInput => ({
  kind: 'try-each',
  sequences,
});
export const runSequence = (...sequence: readonly CommandInput[]): CommandInput => ({
  kind: 'run-sequence',
  sequence,
});

export interface Setup {
  /** How many; the identifier of each is one part, its index. */
  readonly components?: number;
  readonly shared?: readonly CommandInput[];
  readonly integrated?: ReadonlyMap<string, Uint8Array>;
  readonly sequence?: bigint;
  readonly manifest?: Partial<ManifestInput>;
}

/** An envelope with these sections, signed by KEY. */
export function signedSections(
  sections: Readonly<Partial<Record<SectionName, readonly CommandInput[]>>>,
  { components = 1, shared, integrated, sequence = 1n, manifest }: Setup = {},
): Uint8Array {
  const bytes = wrap(
    buildManifest({
      sequence,
      componentIds: Array.from({ length: components }, (_, i) => [Uint8Array.of(i)]),
      ...(shared === undefined ? {} : { shared }),
      sections: new Map(
        Object.entries(sections).map(([name, commands]) => [
          name as SectionName,
          { content: encodeSequence(commands) },
        ]),
      ),
      ...manifest,
    }),
  );
  const payload = suitDigest(bytes);
  const block = createSign1({ header: new Map(), payload, key: KEY, detached: true });
  return buildEnvelope({
    manifest: bytes,
    authenticationBlocks: [block],
    ...(integrated === undefined ? {} : { integrated }),
  });
}

/** The same, verified, with an install section only. */
export function signed(install: readonly CommandInput[], setup: Setup = {}): VerifiedEnvelope {
  return authenticate(parseEnvelope(signedSections({ install }, setup)), [KEY.publicKey]);
}
