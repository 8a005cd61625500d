/** Withdrawing a release (T16). */
import { sha256 } from '#crypto';
import { concat, utf8 } from '../bytes.ts';
import { lineKey, type Line } from '../registry/line.ts';
import { provenLine } from './proven.ts';
import { postOne, signerOf, type Session } from './publish.ts';
import type { Receipted, RegistrationEvents } from './registration.ts';
import { withdrawStatement } from './statements.ts';

/**
 * Withdraws a release. `lowest` is the lowest sequence still allowed on the line; unless given it stays what
 * the network proves it to be. Errors: RELEASE_UNKNOWN, RELEASE_WITHDRAWN, RELEASE_LOWEST, AUTHOR_TIMEOUT.
 */
export async function withdrawRelease(
  session: Session,
  withdrawal: {
    readonly line: Line;
    readonly release: Uint8Array;
    readonly reason: string;
    readonly lowest?: bigint;
  },
  events: RegistrationEvents = {},
): Promise<Receipted> {
  const { network, patience } = session;
  const { line, release, reason } = withdrawal;
  const lowest = withdrawal.lowest ?? (await provenLine(network, line, patience)).value.lowest;
  const name = sha256(concat(utf8('withdraw'), lineKey(line), release));
  return postOne(session, name, events, (counter) =>
    withdrawStatement(signerOf(session), counter, line, { release, lowest, reason }),
  );
}
