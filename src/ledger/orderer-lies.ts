/** Evidence against an orderer of the local engine (T12): blocks under its own signature that contradict the ledger. */
import type { PublicKey } from '../crypto/key.ts';
import { decodeSign1, verifySign1 } from '../cose/sign1.ts';
import { transaction, type Database } from '../database.ts';
import { MAX_BLOCK } from '../registry/block.ts';

/** Why a replica goes no further. */
export interface Halt {
  readonly height: number;
  readonly code: string;
  readonly reason: string;
}

export interface Evidence extends Halt {
  /** The block as its orderer signed it. */
  readonly bytes: Uint8Array;
}

/** Oldest first; 16 at most are given. */
export function readEvidence(database: Database): readonly Evidence[] {
  return database
    .prepare('SELECT height, code, reason, bytes FROM evidence ORDER BY id LIMIT 16')
    .all() as unknown as readonly Evidence[];
}

export function keepEvidence(database: Database, { height, code, reason, bytes }: Evidence): void {
  transaction(database, () =>
    database
      .prepare('INSERT INTO evidence (height, code, reason, bytes) VALUES (?, ?, ?, ?)')
      .run(height, code, reason, bytes),
  );
}

/** Whether the key signed these bytes as a block, whatever they hold. */
export function signedAsBlock(bytes: Uint8Array, key: PublicKey): boolean {
  try {
    const sign1 = decodeSign1(bytes, { maxBytes: MAX_BLOCK });
    verifySign1(sign1, key);
    return (
      sign1.unprotected.size === 0 && sign1.header.get(16) === 'application/firmament.block+cbor'
    );
  } catch {
    return false;
  }
}
