/** What an envelope's author says of the release, for `suit inspect`: read, not verified. */
import { FirmamentError } from '../errors.ts';
import { parseClaims } from '../registry/claims.ts';
import { describeRelease, type ReleaseDescription } from '../registry/release-description.ts';
import { readBlocks } from '../suit/authenticate.ts';
import { parseEnvelope } from '../suit/envelope.ts';

/** Null when no signature's header holds the claims of a release. */
export function claimedRelease(bytes: Uint8Array): ReleaseDescription | null {
  try {
    for (const block of readBlocks(parseEnvelope(bytes, { untagged: true }))) {
      if (block.kind !== 'sign1') continue;
      const release = claimsOf(block.sign1.header)?.release;
      if (release) return describeRelease(release);
    }
    return null;
  } catch (error) {
    if (error instanceof FirmamentError) return null;
    throw error;
  }
}

// A block of another SUIT author has other claims, or none.
function claimsOf(
  header: Parameters<typeof parseClaims>[0],
): ReturnType<typeof parseClaims> | undefined {
  try {
    return parseClaims(header);
  } catch (error) {
    if (error instanceof FirmamentError) return undefined;
    throw error;
  }
}
