/** An author who is registered like any other and reaches for the line of somebody else. */
import { randomBytes } from 'node:crypto';
import { privateKey, sha256 } from '#crypto';
import { approveRequest, newRequest, rotation, signedStatements } from '../author/key-changes.ts';
import { buildRelease } from '../author/release.ts';
import { declareStatement, registerStatement, type Signer } from '../author/statements.ts';
import { utf8 } from '../bytes.ts';
import { thumbprint } from '../cose/key.ts';
import type { PrivateKey } from '../crypto/key.ts';
import type { RawTransaction } from '../registry/block.ts';
import { lineOf, type Line } from '../registry/line.ts';
import type { Statement } from '../registry/statement.ts';
import { layout } from '../store/unixfs.ts';

export interface RogueAuthor {
  readonly signer: Signer;
  /** Its own line for the same hardware: nobody can keep it from having one (T03). */
  readonly line: Line;
  /** author.register and line.declare. */
  readonly enrolment: readonly RawTransaction[];
  /** A release that names somebody else's line. */
  readonly intrusion: readonly RawTransaction[];
}

/** `victim`: the line that it wants. */
export function rogueAuthor(networkId: Uint8Array, victim: Line): RogueAuthor {
  const key = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const recovery = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const signer: Signer = { key, author: thumbprint(key.publicKey), networkId };
  const line = lineOf({ ...victim, author: signer.author });
  const names = { name: 'Acme Official', recovery: [recovery.publicKey], threshold: 1 };
  return {
    signer,
    line,
    enrolment: [
      alone(registerStatement(signer, 1n, names)),
      alone(declareStatement(signer, 2n, line)),
    ],
    intrusion: [release(signer, victim)],
  };
}

/** key.rotate to a key of the thief's own, signed by the author's release key where its recovery keys should (T01). */
export function rotationByThief(
  { key, author }: Pick<Signer, 'author'> & { readonly key: PrivateKey },
  networkId: Uint8Array,
): Uint8Array {
  const own = privateKey('P-256', new Uint8Array(randomBytes(32)));
  const recovery = { keys: [key.publicKey], threshold: 1 };
  const changes = [rotation(author, [own.publicKey])];
  const request = newRequest(author, networkId, recovery, changes, [BigInt(Date.now())]);
  const [statement] = signedStatements(approveRequest(request, key));
  return statement as Uint8Array;
}

function release(signer: Signer, line: Line): RawTransaction {
  const bytes = utf8('malware');
  const digest = sha256(bytes);
  const image = { size: bytes.length, digest, root: layout(bytes.length, [digest]).root };
  const { statement, attachment } = buildRelease(signer, {
    line,
    sequence: BigInt(Math.floor(Date.now() / 1000)) + 1_000n,
    image: { ...image, chunks: [digest] },
    claims: { version: '9.9.9', urgency: 'security', documents: [] },
  });
  return { statement: statement.bytes, attachment };
}

function alone(statement: Statement): RawTransaction {
  return { statement: statement.bytes, attachment: null };
}
