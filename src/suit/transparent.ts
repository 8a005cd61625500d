/**
 * One signature, two forms (docs/spec/statement.md): the envelope's authentication block with its
 * payload detached, and the ledger's statement with its payload attached; and the receipts that a
 * transparent envelope carries beside the signature.
 */
import { equal } from '../bytes.ts';
import { encodeSign1 } from '../cose/sign1.ts';
import type { Sign1 } from '../cose/sign1.ts';
import { check, fail } from '../errors.ts';
import { readBlocks } from './authenticate.ts';
import { withReceipts } from './block.ts';
import { buildEnvelope } from './build.ts';
import { suitDigest } from './digest.ts';
import { parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';

/** A release's attachment: the manifest's byte string, head included. */
export function attachmentOf(envelope: Envelope): Uint8Array {
  return envelope.manifestBytes;
}

/**
 * The statement of a release: the envelope's first COSE_Sign1 with the SUIT_Digest attached and an
 * empty unprotected header (T05). Not verified. Errors: SUIT_UNAUTHENTICATED, block.ts'.
 */
export function statementOf(envelope: Envelope): Uint8Array {
  const { sign1 } = firstSign1(envelope);
  const { protectedBytes, signature } = sign1;
  return encodeSign1({ protectedBytes, payload: envelope.digest, signature });
}

/**
 * The envelope of a release from its statement and attachment, as the ledger keeps them.
 * Errors: SUIT_DIGEST_MISMATCH when they do not belong together, SUIT_BLOCK_MALFORMED.
 */
export function envelopeFrom(input: {
  readonly statement: Sign1;
  readonly attachment: Uint8Array;
  readonly receipts?: readonly Uint8Array[];
  /** COSE_Mac0 blocks, which stand behind the signature (T07). */
  readonly macs?: readonly Uint8Array[];
}): Uint8Array {
  const { statement, attachment, receipts = [], macs = [] } = input;
  check(
    statement.payload !== null && equal(statement.payload, suitDigest(attachment)),
    'SUIT_DIGEST_MISMATCH',
    'the statement is not about this attachment',
  );
  const block = withReceipts({ ...statement, unprotected: new Map() }, receipts);
  return buildEnvelope({ manifest: attachment, authenticationBlocks: [block, ...macs] });
}

/**
 * The same envelope with these receipts (label 394) in the unprotected header of its first
 * COSE_Sign1, in place of those that were there. Errors: as parseEnvelope, SUIT_UNAUTHENTICATED.
 */
export function addReceipts(envelope: Uint8Array, receipts: readonly Uint8Array[]): Uint8Array {
  const parsed = parseEnvelope(envelope);
  const { sign1, index } = firstSign1(parsed);
  const blocks = [...parsed.authenticationBlocks];
  blocks[index] = withReceipts(sign1, receipts);
  return buildEnvelope({
    manifest: parsed.manifestBytes,
    digest: parsed.digest,
    authenticationBlocks: blocks,
    severed: new Map([...parsed.severed].map(([key, { raw }]) => [key, raw])),
    integrated: parsed.integrated,
  });
}

function firstSign1(envelope: Envelope): { readonly sign1: Sign1; readonly index: number } {
  const blocks = readBlocks(envelope);
  const index = blocks.findIndex((block) => block.kind === 'sign1');
  const block = blocks[index];
  return block?.kind === 'sign1'
    ? { sign1: block.sign1, index }
    : fail('SUIT_UNAUTHENTICATED', 'the envelope has no COSE_Sign1 authentication block');
}
