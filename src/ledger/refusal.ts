/** What the rules say of a group on this node's own state, before anybody orders it. */
import { codeOf, type FirmamentError } from '../errors.ts';
import { apply } from '../registry/apply.ts';
import type { Transaction } from '../registry/statement.ts';
import { overlay } from '../registry/view.ts';
import type { Replica } from './replica.ts';

/**
 * Why the statements that are not on the ledger yet would be refused as the next ones; undefined: they would not.
 * `now`, POSIX seconds: a ledger that stood still says nothing of the time that the next block will have.
 */
export function refusal(
  replica: Replica,
  group: readonly Transaction[],
  now = 0,
): FirmamentError | undefined {
  const fresh = group.filter(({ statement }) => !replica.find(statement.signingDigest));
  const view = overlay(replica.view());
  const { height, size, time } = replica.head();
  try {
    fresh.forEach((transaction, i) =>
      apply(view, transaction, {
        height: height + 1,
        time: Math.max(time, now),
        index: size + i,
      }),
    );
    return undefined;
  } catch (error) {
    if (codeOf(error)) return error as FirmamentError;
    throw error;
  }
}
