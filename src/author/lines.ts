/** An author's lines: declaring one, and what the network proves about one (T03, T16). */
import { lineKey, lineText, type Line } from '../registry/line.ts';
import { postOne, signerOf, type Session } from './publish.ts';
import { rememberLine } from './records.ts';
import type { Receipted, RegistrationEvents } from './registration.ts';
import { declareStatement } from './statements.ts';

/** Errors: LINE_EXISTS, LINE_LIMIT, LINE_VENDOR_UNPROVEN, AUTHOR_UNKNOWN, AUTHOR_TIMEOUT. */
export async function declareLine(
  session: Session,
  line: Line,
  events: RegistrationEvents = {},
): Promise<Receipted> {
  const receipted = await postOne(session, lineKey(line), events, (counter) =>
    declareStatement(signerOf(session), counter, line),
  );
  await rememberLine(session.author, lineText(line), { declared: true });
  return receipted;
}
