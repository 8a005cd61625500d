/**
 * What transactions say, parsed once a node: `authenticate` remembers the statements that these hold, so that each
 * signature is verified once although a transaction is seen at CheckTx, in proposals and in its block.
 */
import { sha256 } from '#crypto';
import { hex } from '../../bytes.ts';
import { codeOf, fail, FirmamentError } from '../../errors.ts';
import { decodeGroup, MAX_GROUP } from '../../registry/group.ts';
import { parseStatement, type Transaction } from '../../registry/statement.ts';

export interface ParsedTransaction {
  /** Hex of the SHA-256 of its bytes. */
  readonly id: string;
  readonly length: number;
  readonly group: readonly Transaction[];
}

const MAX_KEPT = 4096;
const MAX_KEPT_BYTES = 32 << 20;

/** Least recently used ones go first. */
export class TransactionCache {
  readonly #kept = new Map<string, ParsedTransaction>();
  #bytes = 0;

  /** What `bytes` say. Errors: ENGINE_TRANSACTION. */
  parsed(bytes: Uint8Array): ParsedTransaction {
    const id = hex(sha256(bytes));
    const kept = this.#kept.get(id);
    if (kept) {
      this.#kept.delete(id);
      this.#kept.set(id, kept);
      return kept;
    }
    // A copy: what is parsed are views, and would keep the whole block that the bytes came in.
    const own = bytes.slice();
    return this.keep(own, parseGroup(own), id);
  }

  /** Remembers a group that was parsed before it was encoded. */
  keep(
    bytes: Uint8Array,
    group: readonly Transaction[],
    id = hex(sha256(bytes)),
  ): ParsedTransaction {
    const there = this.#kept.get(id);
    if (there) return there;
    const parsed: ParsedTransaction = { id, length: bytes.length, group };
    this.#kept.set(id, parsed);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#kept.size <= MAX_KEPT && this.#bytes <= MAX_KEPT_BYTES) break;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
    return parsed;
  }

  /** Undefined for what is no transaction. */
  parsedOrNone(bytes: Uint8Array): ParsedTransaction | undefined {
    try {
      return this.parsed(bytes);
    } catch (error) {
      if (codeOf(error) === 'ENGINE_TRANSACTION') return undefined;
      throw error;
    }
  }
}

// The one encoding is not asked for: other bytes are another transaction, and a statement counts once (T05).
function parseGroup(bytes: Uint8Array): readonly Transaction[] {
  if (bytes.length > MAX_GROUP) fail('ENGINE_TRANSACTION', 'a group above the bound');
  try {
    return decodeGroup(bytes).map(({ statement, attachment }) => ({
      statement: parseStatement(statement),
      attachment,
    }));
  } catch (cause) {
    if (cause instanceof FirmamentError)
      return fail('ENGINE_TRANSACTION', cause.message, { reason: cause.code }, cause);
    throw cause;
  }
}
