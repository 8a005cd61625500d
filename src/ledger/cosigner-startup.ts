/** T10: what a cosigner must hear after a start before it signs anything. Pure. */
import { equal } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, FirmamentError } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { keyId, verifyCosignature } from '../log/cosignature.ts';
import { faulty } from '../registry/policy.ts';

/** A head under this cosigner's own signature, as another operator keeps it. */
export interface SignedHead {
  readonly size: number;
  readonly root: Uint8Array;
  /** POSIX seconds. */
  readonly time: number;
  readonly signature: Uint8Array;
}

/** What an operator's node said: the newest head that it has seen this key sign; null: none. */
export interface StartupAnswer {
  readonly operator: string;
  readonly newest: SignedHead | null;
}

export interface StartupQuestion {
  /** What the own record says: size 0 before the first signature. */
  readonly record: { readonly size: number; readonly root: Uint8Array };
  /** The asker's operator. */
  readonly self: string;
  /** Its name OPERATOR/NODE, its key, its log. */
  readonly name: string;
  readonly key: PublicKey;
  readonly origin: string;
  /** How many operators the policy lists. */
  readonly operators: number;
  readonly answers: readonly StartupAnswer[];
  /** A person said `--cosigner-record-is-mine`: fewer answers are enough. */
  readonly override: boolean;
}

/**
 * Passes when n - f operators, the own one counted, have said what they last saw of this key and none
 * of it is newer than the record. An answer under a signature that is not this key's says nothing.
 * Errors: COSIGNER_BEHIND, COSIGNER_CONFLICT (neither can be overridden), COSIGNER_UNCONFIRMED.
 */
export function checkStartup(question: StartupQuestion): void {
  const { record, operators, answers } = question;
  const heard = new Set([question.self]);
  for (const { operator, newest } of answers) {
    if (newest !== null) {
      if (!ownSignature(question, newest)) continue;
      const { size, root } = newest;
      check(size <= record.size, 'COSIGNER_BEHIND', undefined, { seen: size, record: record.size });
      check(size < record.size || equal(root, record.root), 'COSIGNER_CONFLICT', undefined, {
        size,
      });
    }
    heard.add(operator);
  }
  const needed = operators - faulty(operators);
  check(question.override || heard.size >= needed, 'COSIGNER_UNCONFIRMED', undefined, {
    heard: heard.size,
    needed,
  });
}

function ownSignature({ key, name, origin }: StartupQuestion, head: SignedHead): boolean {
  const { size, root, time, signature } = head;
  try {
    const checkpoint = formatCheckpoint({ origin, size, root });
    verifyCosignature(key, name, checkpoint, { keyId: keyId(name, key), time, signature });
    return true;
  } catch (error) {
    if (error instanceof FirmamentError) return false;
    throw error;
  }
}
