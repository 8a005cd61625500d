/** Building a release: manifest, statement, envelope (design section 3: one signature, two worlds). */
import { hex, utf8 } from '../bytes.ts';
import { check, fail } from '../errors.ts';
import { authenticate } from '../registry/authenticate.ts';
import type { ReleaseClaims } from '../registry/claims.ts';
import { lineText, parseLineText, type Line } from '../registry/line.ts';
import { createReleaseMac, macBlocks, type PreSharedKey } from '../registry/psk.ts';
import { parseStatement, type Statement } from '../registry/statement.ts';
import { buildImageManifest, wrap } from '../suit/build.ts';
import { suitDigest } from '../suit/digest.ts';
import { parseEnvelope } from '../suit/envelope.ts';
import { parseManifest, type Manifest } from '../suit/manifest.ts';
import { attachmentOf, envelopeFrom, statementOf } from '../suit/transparent.ts';
import { cidText } from '../store/cid.ts';
import type { ImageDescription } from '../store/unixfs.ts';
import type { Clock } from '../clock.ts';
import { rememberedLine, rememberLine } from './records.ts';
import type { Author } from './author.ts';
import { releaseStatement, type Signer } from './statements.ts';

export interface ReleaseInput {
  readonly line: Line;
  readonly sequence: bigint;
  readonly image: ImageDescription;
  readonly claims: ReleaseClaims;
  /** The component's name in the manifest; one byte 00 unless given. */
  readonly componentId?: readonly Uint8Array[];
  /** Of a PSK author: the release then has a MAC by it (T07). */
  readonly psk?: PreSharedKey | undefined;
}

export interface BuiltRelease {
  readonly envelope: Uint8Array;
  /** SHA-256 of the manifest: the release's name. */
  readonly digest: Uint8Array;
  readonly statement: Statement;
  readonly attachment: Uint8Array;
}

/** A release of this author's, as its envelope says, authenticated. */
export interface OwnRelease extends Omit<BuiltRelease, 'envelope'> {
  readonly line: Line;
  readonly manifest: Manifest;
}

const COMPONENT: readonly Uint8Array[] = [Uint8Array.of(0)];
const PRE_RELEASE: Readonly<Record<string, number>> = { rc: -1, beta: -2, alpha: -3 };

/**
 * Builds and signs a release of one image. Without `signer.networkId` it is a test build: devices of the maker's
 * bench can take it, no network registers it (T04: `aud` is the author's consent to publish).
 * Errors: STATEMENT_MALFORMED for claims that no registry reads, SUIT_*.
 */
export function buildRelease(
  signer: Omit<Signer, 'networkId'> & { readonly networkId?: Uint8Array | undefined },
  input: ReleaseInput,
): BuiltRelease {
  const { line, sequence, image, psk } = input;
  const version = versionNumbers(input.claims.version);
  const manifest = wrap(
    buildImageManifest({
      vendorId: line.vendor,
      classId: line.class,
      sequence,
      componentId: input.componentId ?? COMPONENT,
      digest: image.digest,
      size: image.size,
      uri: `ipfs://${cidText(image.root)}`,
      ...(version && { version }),
    }),
  );
  const claims: ReleaseClaims = {
    ...input.claims,
    ...(psk && { mac: createReleaseMac(psk, suitDigest(manifest)) }),
  };
  const statement = releaseStatement(signer, sequence, line, manifest, claims);
  const envelope = envelopeFrom({
    statement: statement.sign1,
    attachment: manifest,
    macs: macBlocks(claims),
  });
  const { digestBytes } = parseEnvelope(envelope);
  return { envelope, digest: digestBytes, statement, attachment: manifest };
}

/**
 * `1.2.3` and `1.2.3-rc.1` as suit-set-version has them (update-management: -1 rc, -2 beta, -3 alpha);
 * undefined for a version text of another kind, which stands in the claims alone.
 */
export function versionNumbers(text: string): readonly number[] | undefined {
  const match = /^v?(\d{1,9}(?:\.\d{1,9}){0,5})(?:-(rc|beta|alpha)(?:\.?(\d{1,9}))?)?$/.exec(text);
  if (!match) return undefined;
  const [, numbers = '', stage, count] = match;
  const parts = numbers.split('.').map(Number);
  if (stage !== undefined) parts.push(PRE_RELEASE[stage] ?? 0);
  if (count !== undefined) parts.push(Number(count));
  return parts;
}

/**
 * A sequence for the next release of a line: the clock's seconds, or one more than the last that this folder
 * built, so that it grows without asking anybody.
 */
export async function nextSequence(author: Author, line: Line, clock: Clock): Promise<bigint> {
  const { last } = await rememberedLine(author, lineText(line));
  const now = BigInt(clock());
  return now > last ? now : last + 1n;
}

/** Remembers that a sequence is used. Durable once it returns. */
export async function rememberSequence(
  author: Author,
  line: Line,
  sequence: bigint,
): Promise<void> {
  const { last } = await rememberedLine(author, lineText(line));
  if (sequence > last) await rememberLine(author, lineText(line), { last: sequence });
}

/**
 * The release in an envelope, if it is this author's and meant for this network.
 * Errors: AUTHOR_RELEASE_FOREIGN, AUTHOR_TEST_BUILD, AUTHOR_NETWORK, COSE_SIGNATURE_INVALID, SUIT_*, STATEMENT_*.
 */
export function readOwnRelease(
  author: Author,
  networkId: Uint8Array,
  envelope: Uint8Array,
): OwnRelease {
  const parsed = parseEnvelope(envelope);
  const statement = parseStatement(statementOf(parsed));
  const line = parseLineText(statement.subject);
  const own = statement.kind === 'release' && statement.issuer === hex(author.id);
  check(own, 'AUTHOR_RELEASE_FOREIGN');
  // T04: claims, key and signature of the one block that goes on the ledger.
  authenticate(statement, author.publicKey);
  const attachment = attachmentOf(parsed);
  const manifest = parseManifest(attachment);
  const network = statement.network ?? fail('AUTHOR_TEST_BUILD');
  check(network === hex(networkId), 'AUTHOR_NETWORK', 'the release is signed for another network');
  return {
    line,
    manifest,
    digest: parsed.digestBytes,
    statement,
    attachment: attachmentOf(parsed),
  };
}

/** A component's name of one part, from text. */
export function componentNamed(name: string): readonly Uint8Array[] {
  return [utf8(name)];
}
