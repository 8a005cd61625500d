/** A registry in memory, and small releases with everything that the ledger wants of them, for tests. */
import { sha256 } from '#crypto';
import { buildRelease, type BuiltRelease, type ReleaseInput } from '../author/release.ts';
import { anchorStatement, declareStatement, registerStatement } from '../author/statements.ts';
import type { OperatorProof } from '../author/statements.ts';
import { utf8 } from '../bytes.ts';
import { apply } from '../registry/apply.ts';
import type { ReleaseClaims } from '../registry/claims.ts';
import { initialize, type Genesis } from '../registry/genesis.ts';
import { lineKey, type Line } from '../registry/line.ts';
import { decodeLineValue, type LineValue } from '../registry/map-value.ts';
import type { Statement } from '../registry/statement.ts';
import { memoryView, overlay, type View } from '../registry/view.ts';
import { CHUNK_BYTES, layout, type ImageDescription } from '../store/unixfs.ts';
import type { FixtureAuthor } from './fixture.ts';

export interface FixtureLedger {
  readonly view: View;
  height: number;
  /** One block of one statement; a refusal leaves no trace. */
  apply(statement: Statement, attachment?: Uint8Array | null): void;
  /** What the map says of the line. Undefined: it is not there. */
  line(line: Line): LineValue | undefined;
}

export function fixtureLedger(genesis: Genesis): FixtureLedger {
  const view = memoryView();
  initialize(view, genesis);
  return {
    view,
    height: 0,
    apply(statement, attachment = null) {
      const state = overlay(view);
      const height = this.height + 1;
      const block = { height, time: genesis.time + height, index: height * 2 - 1 };
      apply(state, { statement, attachment }, block);
      state.commit();
      this.height = height;
    },
    line(line) {
      const value = view.getMap(lineKey(line));
      return value && decodeLineValue(value);
    },
  };
}

/** Size, digests and root of a small image. */
export function fixtureImage(text: string): ImageDescription & { readonly bytes: Uint8Array } {
  const bytes = utf8(text);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    chunks.push(sha256(bytes.subarray(at, at + CHUNK_BYTES)));
  const { root } = layout(bytes.length, chunks);
  return { bytes, size: bytes.length, digest: sha256(bytes), root, chunks };
}

export interface FixtureRelease extends BuiltRelease {
  readonly line: Line;
  readonly image: ImageDescription & { readonly bytes: Uint8Array };
}

/** A signed release of an image that follows from the sequence. */
export function fixtureRelease(
  author: Omit<FixtureAuthor, 'networkId'> & { readonly networkId?: Uint8Array },
  line: Line,
  sequence: bigint,
  claims: Partial<ReleaseClaims> = {},
  input: Partial<ReleaseInput> = {},
): FixtureRelease {
  const image = fixtureImage(`firmware ${sequence}`);
  const built = buildRelease(author, {
    line,
    sequence,
    image,
    claims: { version: `${sequence}.0.0`, urgency: 'functional', documents: [], ...claims },
    ...input,
  });
  return { ...built, line, image };
}

/** The image.anchor of the release's image, with changes. */
export function fixtureAnchor(
  author: FixtureAuthor,
  counter: bigint,
  release: FixtureRelease,
  changes: Partial<Parameters<typeof anchorStatement>[3]> = {},
): Statement {
  const { digest: image, size, root, chunks } = release.image;
  const anchor = { release: release.digest, image, size, root, chunks, component: 0, ...changes };
  return anchorStatement(author, counter, release.line, anchor);
}

/** author.register with counter 1 and line.declare with counter 2. */
export function enroll(
  ledger: FixtureLedger,
  author: FixtureAuthor,
  line: Line,
  operator?: OperatorProof,
): void {
  const recovery = author.recovery.map((key) => key.publicKey);
  const fields = { name: author.name, recovery, threshold: 1, ...(operator && { operator }) };
  ledger.apply(registerStatement(author, 1n, fields));
  ledger.apply(declareStatement(author, 2n, line));
}
