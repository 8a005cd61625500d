/** What is known of a release, for its author and for people: status, images, who holds them. */
import { equal, hex } from '../bytes.ts';
import { fail } from '../errors.ts';
import { describeRelease, type ReleaseDescription } from '../registry/release-description.ts';
import { getAnchor, getHolds, getLine, type ReleaseRecord } from '../registry/state.ts';
import type { Statement } from '../registry/statement.ts';
import type { View } from '../registry/view.ts';

export interface ReleaseStatusAnswer {
  readonly line: string;
  readonly digest: string;
  /** Decimal. */
  readonly sequence: string;
  readonly version: string;
  readonly urgency: string;
  readonly description: ReleaseDescription;
  readonly status: string;
  readonly newest: boolean;
  /** Decimal: the line's lowest sequence still allowed. */
  readonly lowest: string;
  readonly index: number;
  readonly images: readonly {
    readonly sha256: string;
    readonly size: number;
    readonly anchored: boolean;
    readonly holders: readonly {
      readonly node: string;
      readonly operator: string;
      readonly until: number;
    }[];
  }[];
}

export function releaseStatus(
  view: View,
  statement: Statement,
  line: Uint8Array,
  record: ReleaseRecord,
): ReleaseStatusAnswer {
  const lineRecord = getLine(view, line);
  const newest = lineRecord?.newest ?? null;
  return {
    line: statement.subject,
    digest: hex(record.digest),
    sequence: record.sequence.toString(),
    version: statement.release?.version ?? '',
    urgency: statement.release?.urgency ?? '',
    description: describeRelease(statement.release ?? fail('RELEASE_UNKNOWN')),
    status: record.status,
    newest: newest !== null && equal(newest, record.digest),
    lowest: (lineRecord?.lowest ?? 0n).toString(),
    index: record.index,
    images: record.images.map(({ digest, size }) => {
      const image = { line, release: record.digest, image: digest };
      return {
        sha256: hex(digest),
        size,
        anchored: getAnchor(view, image) !== undefined,
        holders: getHolds(view, image).map(({ node, until }) => ({
          node,
          operator: node.split('/', 1)[0] ?? node,
          until,
        })),
      };
    }),
  };
}
