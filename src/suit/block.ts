/**
 * One authentication block (draft 8.3): a COSE_Sign1 or COSE_Mac0 over the detached SUIT_Digest.
 * COSE_Sign and COSE_Mac are recognised and passed over: another reader checks those.
 */
import type { Cbor } from '../cbor/decode.ts';
import { KID, RECEIPTS } from '../cose/claims.ts';
import { decodeMac0 } from '../cose/mac0.ts';
import type { Mac0 } from '../cose/mac0.ts';
import { decodeSign1, encodeSign1 } from '../cose/sign1.ts';
import type { Sign1 } from '../cose/sign1.ts';
import { check, codeOf, fail } from '../errors.ts';
import { asArray, asBytes, asMap } from './item-read.ts';
import { parseItem } from './item.ts';
import type { Item } from './item.ts';

export const MAX_BLOCK_BYTES = 1 << 16;
export const MAX_RECEIPTS = 16;
export const MAX_RECEIPT_BYTES = 4096;
const MAX_KID_BYTES = 64;

export type Block =
  | {
      readonly kind: 'sign1';
      readonly sign1: Sign1;
      /** Unsigned: receipts that whoever handed over the envelope put in. */
      readonly receipts: readonly Uint8Array[];
    }
  | { readonly kind: 'mac0'; readonly mac0: Mac0 }
  | { readonly kind: 'unsupported'; readonly why: string };

const SIGN1 = 18n;
const MAC0 = 17n;
const OTHER_TAGS: ReadonlyMap<bigint, string> = new Map([
  [97n, 'COSE_Mac'],
  [98n, 'COSE_Sign'],
]);

/**
 * `mayHoldReceipts`: only the first COSE_Sign1 of an envelope may (docs/spec/suit-profile.md).
 * Errors: SUIT_BLOCK_MALFORMED, SUIT_ALGORITHM_UNPROTECTED, SUIT_PAYLOAD_ATTACHED,
 * SUIT_SIGNATURE_DER, SUIT_UNPROTECTED_LABEL, SUIT_TOO_LARGE, and SUIT_* of item.ts.
 */
export function readBlock(bytes: Uint8Array, mayHoldReceipts: boolean): Block {
  check(
    bytes.length <= MAX_BLOCK_BYTES,
    'SUIT_TOO_LARGE',
    `an authentication block has at most ${MAX_BLOCK_BYTES} bytes`,
  );
  const item = parseItem(bytes, 'authentication block');
  if (item.kind !== 'tag')
    return fail('SUIT_BLOCK_MALFORMED', 'an authentication block without its COSE tag');
  const other = OTHER_TAGS.get(item.tag);
  if (other !== undefined) return { kind: 'unsupported', why: `a ${other} is not checked here` };
  check(
    item.tag === SIGN1 || item.tag === MAC0,
    'SUIT_BLOCK_MALFORMED',
    `tag ${item.tag} is not a COSE message`,
  );
  checkShape(item.content, item.tag === SIGN1);
  try {
    if (item.tag === MAC0) {
      const mac0 = decodeMac0(bytes, { maxBytes: MAX_BLOCK_BYTES });
      readUnprotected(mac0.unprotected, false);
      return { kind: 'mac0', mac0 };
    }
    const sign1 = decodeSign1(bytes, { maxBytes: MAX_BLOCK_BYTES });
    return { kind: 'sign1', sign1, receipts: readUnprotected(sign1.unprotected, mayHoldReceipts) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'COSE_ALGORITHM_UNSUPPORTED')
      return { kind: 'unsupported', why: 'its algorithm is not supported' };
    if (code?.startsWith('SUIT_') === true) throw error;
    const message = error instanceof Error ? error.message : '';
    return fail('SUIT_BLOCK_MALFORMED', `authentication block: ${message}`, {}, error);
  }
}

/** The refusals that tell an engineer more than "not a COSE_Sign1". */
function checkShape(item: Item, signed: boolean): void {
  const what = 'authentication block';
  const { items } = asArray(item, what);
  const [header, unprotected, payload, signature] = items;
  if (!header || !unprotected || !payload || !signature || items.length !== 4)
    return fail('SUIT_BLOCK_MALFORMED', 'a COSE_Sign1 or COSE_Mac0 has four elements');
  for (const [label] of asMap(unprotected, `${what}: unprotected header`).entries)
    check(
      !(label.kind === 'integer' && label.value === 1n),
      'SUIT_ALGORITHM_UNPROTECTED',
      `${what}: the algorithm stands in the unprotected header at byte ${label.start}`,
      { offset: label.start },
    );
  check(
    payload.kind === 'null',
    'SUIT_PAYLOAD_ATTACHED',
    `${what}: the payload is attached at byte ${payload.start}, as early drafts had it; it must be detached (draft 8.3)`,
    { offset: payload.start },
  );
  const { value } = asBytes(signature, `${what}: signature`);
  check(
    !signed || value.length === 64 || value[0] !== 0x30,
    'SUIT_SIGNATURE_DER',
    `${what}: a signature of ${value.length} bytes in DER at byte ${signature.start}; COSE has r and s as 64 bytes (RFC 9053 2.1)`,
    { offset: signature.start },
  );
}

/** kid is a hint that others put there; receipts are checked by whoever asks for them. */
function readUnprotected(
  unprotected: ReadonlyMap<Cbor, Cbor>,
  mayHoldReceipts: boolean,
): readonly Uint8Array[] {
  let receipts: readonly Uint8Array[] = [];
  for (const [label, value] of unprotected) {
    if (label === RECEIPTS && mayHoldReceipts) receipts = readReceipts(value);
    else if (label === KID && value instanceof Uint8Array && value.length <= MAX_KID_BYTES)
      continue;
    else
      fail(
        'SUIT_UNPROTECTED_LABEL',
        `authentication block: unprotected header parameter ${typeof label === 'number' ? label : 'of an unknown name'} is not accepted here`,
      );
  }
  return receipts;
}

function readReceipts(value: Cbor): readonly Uint8Array[] {
  const receipts: Uint8Array[] = [];
  const list: readonly Cbor[] = Array.isArray(value) ? value : [];
  for (const receipt of list)
    if (receipt instanceof Uint8Array && receipt.length <= MAX_RECEIPT_BYTES)
      receipts.push(receipt);
  check(
    list.length > 0 && list.length <= MAX_RECEIPTS && receipts.length === list.length,
    'SUIT_BLOCK_MALFORMED',
    `receipts (394) are 1 to ${MAX_RECEIPTS} byte strings of at most ${MAX_RECEIPT_BYTES} bytes`,
  );
  return receipts;
}

/** The same block with these receipts and no others; what is signed stays as it is. */
export function withReceipts(sign1: Sign1, receipts: readonly Uint8Array[]): Uint8Array {
  const unprotected = new Map(sign1.unprotected);
  unprotected.delete(RECEIPTS);
  if (receipts.length > 0) unprotected.set(RECEIPTS, receipts);
  readUnprotected(unprotected, true);
  const { protectedBytes, signature } = sign1;
  return encodeSign1({ protectedBytes, unprotected, payload: null, signature });
}
