/** release.withdraw: a release that nobody may install any more, and the lowest sequence still allowed (T16). */
import { asBytes, asText, asUint64 } from '../../cbor/read.ts';
import { check, fail } from '../../errors.ts';
import { printable } from '../claims.ts';
import { refreshLine } from '../newest.ts';
import { getRelease, setRelease } from '../state.ts';
import type { Statement } from '../statement.ts';
import type { View } from '../view.ts';
import { ownedLine } from './owned-line.ts';
import { parsePayload } from './payload.ts';

export interface Withdrawal {
  readonly release: Uint8Array;
  readonly lowest: bigint;
  readonly reason: string;
}

/** Errors: STATEMENT_MALFORMED. */
export function parseWithdrawal(statement: Statement): Withdrawal {
  return parsePayload(statement, [1, 2, 3], (get) => ({
    release: asBytes(get(1), 'manifest digest', 32),
    lowest: asUint64(get(2), 'lowest'),
    reason: printable(asText(get(3), 'reason', 256), 'reason'),
  }));
}

export function withdrawRelease(view: View, statement: Statement): void {
  const { key, record } = ownedLine(view, statement);
  const { release: digest, lowest } = parseWithdrawal(statement);
  const release = getRelease(view, key, digest) ?? fail('RELEASE_UNKNOWN');
  check(release.status !== 'withdrawn', 'RELEASE_WITHDRAWN');
  const last = record.last?.sequence ?? 0n;
  check(lowest >= record.lowest && lowest <= last + 1n, 'RELEASE_LOWEST');
  setRelease(view, key, { ...release, status: 'withdrawn' });
  refreshLine(view, key, { ...record, lowest });
}
