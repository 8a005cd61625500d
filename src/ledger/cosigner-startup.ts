/** T10: what a cosigner must hear after a start before it signs anything. Pure. */
import { equal } from '../bytes.ts';
import type { PublicKey } from '../crypto/key.ts';
import { check, FirmamentError } from '../errors.ts';
import { formatCheckpoint } from '../log/checkpoint.ts';
import { verifyCosignature, type Cosignature } from '../log/cosignature.ts';
import { faulty } from '../registry/policy.ts';

/** A head under this cosigner's own signature, as another operator keeps it. */
export interface SignedHead {
  readonly size: number;
  readonly root: Uint8Array;
  readonly cosignature: Cosignature;
}

/** What an operator's node said: the newest head that it has seen this key sign; null: none. */
export interface StartupAnswer {
  readonly operator: string;
  readonly newest: SignedHead | null;
}

export interface StartupQuestion {
  /** What the own record says: size 0 before the first signature. */
  readonly record: { readonly size: number; readonly root: Uint8Array };
  /** The asker: its operator, its name OPERATOR/NODE, its key, its log. */
  readonly operator: string;
  readonly name: string;
  readonly key: PublicKey;
  readonly origin: string;
  /** How many operators the policy lists. */
  readonly operators: number;
  readonly answers: readonly StartupAnswer[];
  /** A person said `--cosigner-record-is-mine`: fewer answers are enough. */
  readonly recordIsMine: boolean;
}

/**
 * Passes when n - f operators, the own one counted, have said what they last saw of this key and none
 * of it is newer than the record. An answer under a signature that is not this key's says nothing.
 * Errors: COSIGNER_BEHIND, COSIGNER_CONFLICT (neither can be overridden), COSIGNER_UNCONFIRMED.
 */
export function checkStartup(question: StartupQuestion): void {
  const { record, operators, answers } = question;
  const heard = new Set([question.operator]);
  for (const { operator, newest } of answers) {
    if (newest !== null) {
      if (!ownSignature(question, newest)) continue;
      check(newest.size <= record.size, 'COSIGNER_BEHIND', undefined, {
        seen: newest.size,
        record: record.size,
      });
      check(
        newest.size < record.size || equal(newest.root, record.root),
        'COSIGNER_CONFLICT',
        undefined,
        {
          size: newest.size,
        },
      );
    }
    heard.add(operator);
  }
  const needed = operators - faulty(operators);
  check(question.recordIsMine || heard.size >= needed, 'COSIGNER_UNCONFIRMED', undefined, {
    heard: heard.size,
    needed,
  });
}

function ownSignature({ key, name, origin }: StartupQuestion, head: SignedHead): boolean {
  try {
    verifyCosignature(
      key,
      name,
      formatCheckpoint({ origin, size: head.size, root: head.root }),
      head.cosignature,
    );
    return true;
  } catch (error) {
    if (error instanceof FirmamentError) return false;
    throw error;
  }
}
