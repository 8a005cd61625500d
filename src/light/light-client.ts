/** Getting from a trusted header to a later one with few headers between: bisection. */
import { check, codeOf } from '../errors.ts';
import type { Certificate } from './certificate.ts';
import {
  trustHash,
  trustValidators,
  verifyLater,
  type LightBlock,
  type LightOptions,
  type TrustedBlock,
} from './light-block.ts';
import type { Validator } from './validators.ts';

/** A source that need not be trusted. It throws what it likes when it has not got the height. */
export type LightSource = (height: bigint) => Promise<LightBlock>;

/** What whoever asks already believes. */
export type TrustRoot =
  | { readonly height: bigint; readonly hash: Uint8Array }
  | { readonly height: bigint; readonly validators: readonly Validator[] };

/**
 * Verifies one header of a chain, from what is believed already. Answers the header and those that led to
 * it, oldest first. Errors: those of `verifyTo`, `trustHash` and `trustValidators`; what the source throws.
 */
export async function verifyChain(
  root: TrustRoot,
  height: bigint,
  source: LightSource,
  options: LightOptions,
  now: number,
): Promise<readonly Certificate[]> {
  const block = await blockAt(source, root.height);
  const first =
    'hash' in root
      ? trustHash(block, root.hash, options.chainId)
      : trustValidators(block.certificate, root.validators, options.chainId);
  const trace = height === root.height ? [] : await verifyTo(first, height, source, options, now);
  return [first, ...trace].map(({ certificate }) => certificate);
}

/**
 * Bisection: tries the header asked for, and where too few of the trusted validators signed it, one
 * between first. Answers the headers that led there, the one asked for last. Asks for at most
 * log2(distance) headers a step, and every step gains height. Errors: those of `verifyLater` (never
 * LIGHT_TRUST), LIGHT_SOURCE, what the source throws.
 */
export async function verifyTo(
  from: TrustedBlock,
  height: bigint,
  source: LightSource,
  options: LightOptions,
  now: number,
): Promise<readonly TrustedBlock[]> {
  const trace: TrustedBlock[] = [];
  // Blocks that were fetched and could not be believed yet, the lowest last.
  const waiting = [await blockAt(source, height)];
  let trusted = from;
  for (let block = waiting.at(-1); block !== undefined; block = waiting.at(-1)) {
    const next = laterOrUndefined(trusted, block, options, now);
    if (next !== undefined) {
      trusted = next;
      trace.push(next);
      waiting.pop();
    } else {
      const low = trusted.certificate.header.height;
      const middle = (low + block.certificate.header.height) / 2n;
      waiting.push(await blockAt(source, middle));
    }
  }
  return trace;
}

function laterOrUndefined(
  from: TrustedBlock,
  block: LightBlock,
  options: LightOptions,
  now: number,
): TrustedBlock | undefined {
  try {
    return verifyLater(from, block, options, now);
  } catch (error) {
    if (codeOf(error) !== 'LIGHT_TRUST') throw error;
    return undefined;
  }
}

/** Errors: LIGHT_SOURCE (another height), what the source throws. */
async function blockAt(source: LightSource, height: bigint): Promise<LightBlock> {
  const block = await source(height);
  check(block.certificate.header.height === height, 'LIGHT_SOURCE');
  return block;
}
